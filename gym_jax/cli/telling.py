"""What goes on, in one line on stderr: for commands that have no epochs to count."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def telling(output: Any) -> Iterator[Callable[[str], None]]:
    """Give a function that says on stderr what goes on; a line is said once in a while, nothing with -q."""
    from gym_jax.cli.progress import style

    live = style(notebook=False) == "rich"
    quiet = getattr(output, "verbosity", 0) < 0 or getattr(output, "format", "text") != "text"
    last = [""]

    def tell(words: str) -> None:
        if quiet:
            return
        if live:
            print(f"\r\x1b[2K{words}", end="", file=sys.stderr, flush=True)
        elif words.split(":")[0] != last[0]:
            print(words.split(":")[0], file=sys.stderr, flush=True)
        last[0] = words.split(":")[0]

    try:
        yield tell
    finally:
        if live and not quiet and last[0]:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
