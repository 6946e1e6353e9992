"""The door from a checkout: `python cli.py train --model lstm` is `gymjax train --model lstm`.

usage: python cli.py COMMAND [OPTIONS] [key=value ...]; `python cli.py --help` lists the commands.
"""

from gym_jax.cli import app

if __name__ == "__main__":
    app()
