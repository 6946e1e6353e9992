"""What goes on, in one line on stderr: for commands that have no epochs to count."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gym_jax.cli.log import log


def tells_folds(tell: Callable[[str], None]) -> Callable[[Mapping[str, Any]], None]:
    """Return what notes in the log how many folds are trained, and says it."""

    def told(facts: Mapping[str, Any]) -> None:
        log("folds", facts)
        tell(f"training: {facts['trained']} of {facts['folds']}")

    return told


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
