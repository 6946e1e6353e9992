"""Telemetry from where it is kept, over the network, into a file that training reads."""
