"""What is wrong with a request: every fault at once, as JSON, with the place in the body and what to do."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from gym_jax.errors import GymJaxError

TOLD = 20
"""Faults that are told one by one; the others are counted."""


class Problem(NamedTuple):
    """One fault of a request."""

    code: str
    error: str
    hint: str = ""
    attempt: str = ""
    path: str = ""
    """Where in the body, such as `series[0].values.cpu[3]`."""

    def facts(self) -> dict[str, str]:
        """Return it as clients see it."""
        return {"error": self.error, "hint": self.hint, "try": self.attempt, "path": self.path, "code": self.code}


class Refused(Exception):
    """A request that is not answered: its status and every fault."""

    def __init__(self, status: int, *problems: Problem, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(problems[0].error)
        self.status, self.problems, self.headers = status, problems, tuple(headers)

    def document(self) -> dict[str, Any]:
        """Return the body of the answer: the first fault, and all of them."""
        told = [problem.facts() for problem in self.problems[:TOLD]]
        return {**told[0], "problems": told, "count": len(self.problems)}


def refusal_of(error: GymJaxError, status: int, path: str = "") -> Refused:
    """Return an error of the library as the refusal of a request."""
    problems = error.problems or (error,)
    return Refused(
        status, *(Problem(one.code, one.message, one.hint or "", one.attempt or "", path) for one in problems)
    )


def busy(words: str, seconds: int = 1) -> Refused:
    """Return the refusal of a request that may come again after so many seconds."""
    problem = Problem("serve.busy", words, "the server has as much to do as it takes", "ask again after Retry-After")
    return Refused(503, problem, headers=[("retry-after", str(seconds))])


def header_too_long(most: int) -> Refused:
    """Return the refusal of a request whose head has more than so many bytes."""
    return Refused(431, Problem("http.header", f"the header is longer than {most:,} bytes", "ask in the body"))


def cut(word: object, most: int = 60) -> str:
    """Return a word of a client so that it can be shown: printable, and not longer than that."""
    text = str(word)[: most + 1].encode("ascii", "backslashreplace").decode()
    return text if len(text) <= most else f"{text[: most - 3]}..."
