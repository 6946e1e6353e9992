"""`python -m gym_jax`: the same door as `gymjax`."""

from gym_jax.cli import app

if __name__ == "__main__":
    app()
