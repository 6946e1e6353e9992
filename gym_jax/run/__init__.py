"""Assembly: configuration to objects to a run folder, and back."""
