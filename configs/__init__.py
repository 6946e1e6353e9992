"""The shipped configurations: YAML that says only what differs from the defaults."""
