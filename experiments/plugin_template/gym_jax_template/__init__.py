"""A plug-in of gym_jax: one module for each thing it adds; pyproject.toml gives them their names."""
