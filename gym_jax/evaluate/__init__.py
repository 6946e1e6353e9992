"""Judgement: forecasts against what came, beside the baselines."""
