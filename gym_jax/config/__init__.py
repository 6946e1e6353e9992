"""Hydra composes, Pydantic judges."""
