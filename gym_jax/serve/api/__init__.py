"""Trained models behind HTTP: forecasts and allocations in batches, measured, replaced while they are asked."""
