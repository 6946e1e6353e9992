"""What a command says besides its result: how much, in what form, where to. Parsed once, installed, taken off again."""

import json
import logging
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from gym_jax.errors import ConfigError, GymJaxError, StorageError, did_you_mean

Format = Literal["text", "json"]

LOGGER = logging.getLogger("gym_jax")
LOGGER.addHandler(logging.NullHandler())  # a library that is called prints nothing
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LOUDNESS = {"-q": -1, "--quiet": -1, "-qq": -2, "-v": 1, "--verbose": 1, "-vv": 2}
"""As they are offered; any number of q and v in one word are taken."""
WORDS: dict[str, tuple[str, ...]] = {"--log-format": ("text", "json"), "--log-level": tuple(LEVELS), "--log-file": ()}
LONGEST = 200
"""Characters of one fact in a text line."""


class Output(NamedTuple):
    """How much a command says on stderr, and what is logged where."""

    verbosity: int = 0
    """-2: errors only; -1: no progress, no notes; 1: chunks, saves, timings; 2: every fact of every event."""
    format: Format = "text"
    level: int = logging.INFO
    """Of the log file, and of JSON on stderr when neither -q nor -v is given."""
    file: Path | None = None


def parse_output(arguments: Sequence[str]) -> tuple[Output, list[str]]:
    """Return the output options, wherever they stand before a `--`, and the other words. Raises ConfigError."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words, rest = list(arguments[:end]), []
    loud, given = 0, {}
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if word in LOUDNESS:
            loud += LOUDNESS[word]
        elif re.fullmatch("-[qv]+", word):
            loud += word.count("v") - word.count("q")
        elif name in WORDS:
            if not equals and (not words or words[0].startswith("-")):
                raise _usage(f"option {name} needs a value", WORDS[name])
            given[name] = value if equals else words.pop(0)
            if WORDS[name] and given[name] not in WORDS[name]:
                raise _usage(f"`{name} {given[name]}` is not known", WORDS[name], given[name])
        else:
            rest.append(word)
    output = Output(
        min(2, max(-2, loud)),
        cast(Format, given.get("--log-format", "text")),
        LEVELS[given.get("--log-level", "info")],
        Path(given["--log-file"]).expanduser() if "--log-file" in given else None,
    )
    return output, [*rest, *arguments[end:]]


@contextmanager
def log_to(output: Output) -> Iterator[None]:
    """Log to stderr and to the file while a command runs, warnings and other libraries' ones too.

    Raises StorageError when the file can not be opened.
    """
    handlers = [_on_stderr(output), *([_in_file(output.file, output)] if output.file else [])]
    root, level, show = logging.getLogger(), LOGGER.level, warnings.showwarning
    LOGGER.setLevel(min(handler.level for handler in handlers))
    warnings.showwarning = _log_warning  # type: ignore[assignment]
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        warnings.showwarning = show
        LOGGER.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            with suppress(OSError):  # a full disk was told of already
                handler.close()


def log(event: str, facts: Mapping[str, Any], level: int = logging.INFO, **more: Any) -> None:
    """Log an event of this library with its facts."""
    LOGGER.log(level, event, extra={"event": event, "facts": facts}, **more)


def log_error(error: GymJaxError, *, traceback: bool = False) -> None:
    """Log the error that ends a command."""
    log("error", {**error.facts(), "exit_code": error.exit_code}, logging.ERROR, exc_info=error if traceback else None)


def document_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return a log record as plain JSON values: time, level, event, facts."""
    own = record.name.split(".")[0] == LOGGER.name
    facts = dict(getattr(record, "facts", {}))
    if not own or not hasattr(record, "event"):
        facts = {"logger": record.name, "message": record.getMessage(), **facts}
    if record.exc_info:
        facts["traceback"] = logging.Formatter().formatException(record.exc_info)
    head = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": getattr(record, "event", "log"),
    }
    return head | {key: _plain(value) for key, value in facts.items() if key not in head}


def line_of(facts: Mapping[str, Any]) -> str:
    """Return facts as `key=value` words; values with blanks in them are quoted."""
    return " ".join(f"{key}={_word(value)}" for key, value in facts.items())


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(document_of(record), allow_nan=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document = document_of(record)
        time, level, event = (document.pop(key) for key in ("time", "level", "event"))
        trace = document.pop("traceback", None)
        line = f"{time} {level:<7} {event} {line_of(document)}".rstrip()
        return f"{line}\n{trace}" if trace else line


class _Foreign(logging.Formatter):
    """What another library warns of, for people."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


class _Stream(logging.Handler):
    """Writes to stderr as it is at that moment: a live bar takes it over for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


class _File(logging.FileHandler):
    """A log that can not be written is switched off with one word: no run fails by it."""

    def handleError(self, record: logging.LogRecord) -> None:
        self.setLevel(logging.CRITICAL + 1)
        print(f"warning: {self.baseFilename} can not be written any more: {sys.exc_info()[1]}", file=sys.stderr)


def _on_stderr(output: Output) -> logging.Handler:
    handler = _Stream()
    if output.format == "json":
        loud = {-2: logging.ERROR, -1: logging.WARNING, 0: output.level}
        handler.setLevel(loud.get(output.verbosity, logging.DEBUG))
        handler.setFormatter(_Json())
        handler.addFilter(_from_others_only_warnings)
    else:  # progress and errors of our own are shown by those who know how
        handler.setLevel(logging.ERROR if output.verbosity == -2 else logging.WARNING)
        handler.setFormatter(_Foreign())
        handler.addFilter(lambda record: record.name.split(".")[0] != LOGGER.name)
    return handler


def _in_file(path: Path, output: Output) -> logging.Handler:
    try:
        handler = _File(path, mode="a", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"--log-file {path} can not be written: {error.strerror or error}",
            hint="it must be a file in a folder that exists",
            attempt=f"mkdir -p {path.parent}" if not path.parent.exists() else None,
            code="storage.log",
        ) from error
    handler.setLevel(output.level)
    handler.setFormatter(_Json() if output.format == "json" else _Text())
    handler.addFilter(_from_others_only_warnings)
    return handler


def _from_others_only_warnings(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.split(".")[0] == LOGGER.name


def _log_warning(message: Any, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
    facts = {"category": category.__name__, "file": filename, "line": lineno}
    logging.getLogger("py.warnings").warning("%s", message, extra={"event": "warning", "facts": facts})


def _plain(value: Any) -> Any:
    """Return JSON values; a number that is not finite has no JSON and becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(_plain(value))
    text = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return json.dumps(text) if isinstance(value, str) and (not text or set(text) & set(' "=\n')) else text


def _usage(message: str, words: Sequence[str], got: str | None = None) -> ConfigError:
    hint = None if not words else did_you_mean(got, words) if got else f"choose from {', '.join(words)}"
    return ConfigError(message, hint=hint, attempt="gymjax --help", code="usage")
