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
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self, cast

from gym_jax.errors import ConfigError, GymJaxError, StorageError, did_you_mean, nearest

Format = Literal["text", "json"]

LOGGER = logging.getLogger("gym_jax")
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LOUDNESS = {"-q": -1, "--quiet": -1, "-qq": -2, "-v": 1, "--verbose": 1, "-vv": 2}
"""As they are offered; any number of q and v in one word are taken."""
WORDS: dict[str, tuple[str, ...]] = {"--log-format": ("text", "json"), "--log-level": tuple(LEVELS), "--log-file": ()}
FREE = ("--log-level", "--log-file")
"""Options whose value may be more than one of the words."""
NEVER = logging.CRITICAL + 1
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
    modules: Mapping[str, int] = MappingProxyType({})
    """Levels of single modules and those below them; their lines show on stderr too, unless -q is given."""


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
            if name not in FREE and given[name] not in WORDS[name]:
                raise _usage(f"`{name} {given[name]}` is not known", WORDS[name], given[name])
        else:
            rest.append(word)
    level, modules = parse_levels(given.get("--log-level", "info"))
    output = Output(
        min(2, max(-2, loud)),
        cast(Format, given.get("--log-format", "text")),
        level,
        Path(given["--log-file"]).expanduser() if "--log-file" in given else None,
        modules,
    )
    return output, [*rest, *arguments[end:]]


def parse_levels(text: str) -> tuple[int, dict[str, int]]:
    """Return the level of `info,data=debug`, and those of single modules by their loggers. Raises ConfigError."""
    level, modules = logging.INFO, {}
    for part in text.split(","):
        name, equals, word = (half.strip() for half in part.rpartition("="))
        if word not in LEVELS:
            raise _usage(
                f"`--log-level {text}` is not known" + (f": {word}" if word not in ("", text) else ""),
                tuple(LEVELS),
                word,
            )
        if equals:
            modules[_logger_name(name)] = LEVELS[word]
        else:
            level = LEVELS[word]
    return level, modules


def _logger_name(name: str) -> str:
    """Return the logger that a module has, of this library with or without its first word, or of another one."""
    package = Path(__file__).parents[1]
    files = [path.relative_to(package).with_suffix("").parts for path in package.rglob("*.py")]
    known = {".".join((package.name, *parts)).removesuffix(".__init__") for parts in files}
    for own in (name, f"{package.name}.{name}"):
        if own in known:
            return own
    short = {module.removeprefix(f"{package.name}.") for module in known}
    parts = sorted(module for module in short if "." not in module)
    first, meant = name.partition(".")[0], nearest(name.removeprefix(f"{package.name}."), short, likeness=0.75)
    foreign = first != package.name and not nearest(first, parts, likeness=0.75)
    if foreign and first.isidentifier() and find_spec(first):
        return name
    hint = f"did you mean `{meant}`?" if meant else f"choose from {', '.join(parts)}"
    raise ConfigError(f"`--log-level {name}=...` names no module", hint=hint, attempt="gymjax --help", code="usage")


@contextmanager
def log_to(output: Output) -> Iterator[None]:
    """Log to stderr and to the file while a command runs, warnings and other libraries' ones too.

    Raises StorageError when the file can not be opened.
    """
    handlers = [_on_stderr(output), *([_in_file(output.file, output)] if output.file else [])]
    root, show = logging.getLogger(), warnings.showwarning
    levels = {LOGGER.name: min(handler.levels[LOGGER.name] for handler in handlers), **output.modules}
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    warnings.showwarning = _log_warning  # type: ignore[assignment]
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        warnings.showwarning = show
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
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


class _Line(logging.Formatter):
    """What another library warns of, or a module was asked to tell, for people."""

    def format(self, record: logging.LogRecord) -> str:
        own = record.name.split(".")[0] == LOGGER.name
        facts = line_of(getattr(record, "facts", {})) if own else ""
        return f"{record.levelname.lower()}: {f'{record.name}: ' if own else ''}{record.getMessage()} {facts}".rstrip()


class _Handler(logging.Handler):
    """Takes what is as grave as `levels` say for the nearest module above; that of "" is for other libraries."""

    levels: Mapping[str, int] = MappingProxyType({})

    def take(self, levels: Mapping[str, int], formatter: logging.Formatter) -> Self:
        self.levels = levels
        self.setLevel(min(levels.values()))
        self.setFormatter(formatter)
        self.addFilter(self._wants)
        return self

    def _wants(self, record: logging.LogRecord) -> bool:
        name = record.name
        while name not in self.levels:
            name = name.rpartition(".")[0]
        return record.levelno >= self.levels[name]


class _Stream(_Handler):
    """Writes to stderr as it is at that moment: a live bar takes it over for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


class _File(_Handler, logging.FileHandler):
    """A log that can not be written is switched off with one word: no run fails by it."""

    def handleError(self, record: logging.LogRecord) -> None:
        self.setLevel(NEVER)
        print(f"warning: {self.baseFilename} can not be written any more: {sys.exc_info()[1]}", file=sys.stderr)


def _on_stderr(output: Output) -> _Handler:
    modules = output.modules if output.verbosity >= 0 else {}
    if output.format == "json":
        loud = {-2: logging.ERROR, -1: logging.WARNING, 0: output.level}
        return _Stream().take(_levels(loud.get(output.verbosity, logging.DEBUG), modules), _Json())
    # progress and errors of our own are shown by those who know how
    others = logging.ERROR if output.verbosity == -2 else logging.WARNING
    return _Stream().take({"": others, LOGGER.name: NEVER, **modules}, _Line())


def _in_file(path: Path, output: Output) -> _Handler:
    try:
        handler = _File(path, mode="a", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"--log-file {path} can not be written: {error.strerror or error}",
            hint="it must be a file in a folder that exists",
            attempt=f"mkdir -p {path.parent}" if not path.parent.exists() else None,
            code="storage.log",
        ) from error
    return handler.take(_levels(output.level, output.modules), _Json() if output.format == "json" else _Text())


def _levels(level: int, modules: Mapping[str, int]) -> dict[str, int]:
    """Return what is logged of whom: of other libraries at most warnings, unless one is named."""
    return {"": max(level, logging.WARNING), LOGGER.name: level, **modules}


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
    odd = not text or not text.isprintable() or set(text) & set(' "=')
    return json.dumps(text) if isinstance(value, str) and odd else text


def _usage(message: str, words: Sequence[str], got: str | None = None) -> ConfigError:
    hint = None if not words else did_you_mean(got, words) if got else f"choose from {', '.join(words)}"
    return ConfigError(message, hint=hint, attempt="gymjax --help", code="usage")
