"""What can go wrong, with its exit code. Every error says what, why and what to type next."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

E = TypeVar("E", bound="GymJaxError")


class GymJaxError(Exception):
    """An error a user can act on: message, hint and a command to try.

    `code` names it for machines (`data.duplicates`), `exit_code` is what the command line leaves with.

    >>> error = ConfigError("unknown key `optim.rl`", hint="did you mean `optim.lr`?", attempt="gymjax config show")
    >>> print("\\n".join(error.lines()))
    error: unknown key `optim.rl`
    hint: did you mean `optim.lr`?
    try: gymjax config show
    >>> error.exit_code, error.code
    (2, 'config.invalid')
    """

    exit_code = 1
    code = "run.failed"
    usual_hint = "with --debug it says where it happened"
    """What is said when there is nothing more to the point."""
    problems: tuple["GymJaxError", ...] = ()
    """The single problems, when this is several at once."""

    def __init__(
        self, message: str, *, hint: str | None = None, attempt: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.hint, self.attempt = message, hint, attempt
        self.code = code or type(self).code

    def facts(self) -> dict[str, str]:
        """Return code, message, hint and a command to try, as the command line says them: each says something.

        Where there is nothing to try, the command is the one that explains the code.
        """
        codes = {problem.code for problem in self.problems}
        explained = codes.pop() if len(codes) == 1 else self.code
        hint, attempt = self.hint or self.usual_hint, self.attempt or f"gymjax explain {explained}"
        return {"code": self.code, "message": self.message, "hint": hint, "try": attempt}

    def lines(self) -> list[str]:
        """Return the message and, where there is something to the point, a hint and a command to try."""
        lines = [f"error: {self.message}"]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        if self.attempt:
            lines.append(f"try: {self.attempt}")
        return lines


class RunFailed(GymJaxError):
    """The run itself failed (exit 1).

    >>> RunFailed("the server does not answer").exit_code
    1
    """


class ConfigError(GymJaxError):
    """A wrong word or value in a configuration or on the command line (exit 2).

    >>> ConfigError("no such setting").facts()["try"]
    'gymjax explain config.invalid'
    """

    exit_code, code = 2, "config.invalid"
    usual_hint = "gymjax config show lists every setting and what it may be"


class DataError(GymJaxError):
    """The data are missing, unreadable or not what the configuration says (exit 3).

    >>> DataError("no rows", code="data.empty").code
    'data.empty'
    """

    exit_code, code = 3, "data.invalid"
    usual_hint = "gymjax data check FILE counts everything that is wrong with the data"
    findings: tuple[Any, ...] = ()
    """What had been counted when the data were refused."""


class CheckpointError(GymJaxError):
    """A checkpoint or run is missing, incompatible or damaged (exit 4).

    >>> CheckpointError("no run at runs/a").exit_code
    4
    """

    exit_code, code = 4, "checkpoint.invalid"
    usual_hint = "gymjax runs list shows the runs that can be read"


class Diverged(GymJaxError):
    """The loss is no longer a finite number (exit 5).

    >>> Diverged("the loss is nan").exit_code
    5
    """

    exit_code, code = 5, "run.diverged"


class StorageError(GymJaxError):
    """The disk refuses: full, read-only or gone (exit 6).

    >>> StorageError("the disk is full").exit_code
    6
    """

    exit_code, code = 6, "storage.failed"
    usual_hint = "free space, or write somewhere else"


class PeerError(GymJaxError):
    """Another process of the run is gone, or the watchdog fired (exit 7).

    >>> PeerError("process 1 is gone").exit_code
    7
    """

    exit_code, code = 7, "run.peer"


class MissingExtra(GymJaxError):
    """An optional package or plug-in is not installed (exit 8).

    >>> MissingExtra("onnxruntime is not installed", attempt="pip install 'gym-jax[onnx]'").lines()[1]
    "try: pip install 'gym-jax[onnx]'"
    """

    exit_code, code = 8, "extra.missing"


class GateFailed(GymJaxError):
    """A quality gate was not passed (exit 9). `document` is what the command would have printed.

    >>> GateFailed("mae is 0.3, not below 0.2", document={"mae": 0.3}).document
    {'mae': 0.3}
    """

    exit_code, code = 9, "gate.failed"
    usual_hint = "every gate and its value are in the table"

    def __init__(self, message: str, *, document: Mapping[str, Any] | None = None, **words: str | None) -> None:
        super().__init__(message, **words)
        self.document = document or {}


class RunInUse(GymJaxError):
    """Another process holds the run folder (exit 75).

    >>> RunInUse("another process trains runs/a").exit_code
    75
    """

    exit_code, code = 75, "run.in_use"


class Interrupted(GymJaxError):
    """A signal stopped the run after it was saved (exit 130 for Ctrl-C, 143 for SIGTERM).

    >>> Interrupted("saved", exit_code=143).exit_code
    143
    """

    code = "run.interrupted"

    def __init__(self, message: str, *, exit_code: int, hint: str | None = None, attempt: str | None = None) -> None:
        super().__init__(message, hint=hint, attempt=attempt)
        self.exit_code = exit_code


EXIT_CODES = {
    0: "ok",
    1: "run failed",
    2: "usage or configuration",
    3: "data",
    4: "checkpoint or run missing, incompatible or damaged",
    5: "diverged",
    6: "storage",
    7: "peer or watchdog",
    8: "missing extra or plug-in",
    9: "quality gate failed",
    75: "run folder in use",
    130: "Ctrl-C, saved",
    143: "SIGTERM, saved",
}


def gathered(problems: Sequence[E], *, code: str) -> E:
    """Return the only problem as it is, or several as one of their kind that says all, named `code`.

    >>> gathered([DataError("no rows"), DataError("no times")], code="data.invalid").message
    'no rows; no times'
    """
    if len(problems) == 1:
        return problems[0]
    hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
    error = type(problems[0])(
        "; ".join(dict.fromkeys(problem.message for problem in problems)),
        hint="; ".join(hints) or None,
        attempt=_together([problem.attempt for problem in problems if problem.attempt]),
        code=code,
    )
    error.problems = tuple(problems)
    return error


def _together(attempts: list[str]) -> str | None:
    """Return one command with all options, or the first of commands that can not be one."""
    begin = "gymjax train ..."
    options = [attempt.removeprefix(begin).strip() for attempt in attempts if attempt.startswith(begin)]
    return " ".join([begin, *dict.fromkeys(options)]) if options else next(iter(attempts), None)


def nearest(word: str, words: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the word a user most likely meant, if any is as near as `likeness` (1: the same).

    >>> nearest("peak_rl", ["peak_lr", "weight_decay"])
    'peak_lr'
    """
    words = list(words)
    lowered = {known.lower(): known for known in words}
    found = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=likeness)
    return lowered[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a hint: the nearest right word, or all of them.

    >>> did_you_mean("peak_rl", ["peak_lr", "weight_decay"])
    'did you mean `peak_lr`?'
    >>> did_you_mean("x", ["peak_lr", "weight_decay"])
    'choose from peak_lr, weight_decay'
    """
    words = sorted(words)
    found = nearest(word, words)
    return f"did you mean `{found}`?" if found else f"choose from {', '.join(words)}"
