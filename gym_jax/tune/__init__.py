"""Many runs from one: searched over a space of settings, or over all combinations of a few."""
