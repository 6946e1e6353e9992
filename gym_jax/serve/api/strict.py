"""JSON as RFC 8259 has it, in and out: no NaN, nothing twice, nothing that is no text."""

import json
import math
from collections.abc import Iterator
from typing import Any

from gym_jax.serve.api.limits import COLUMNS, WORD
from gym_jax.serve.api.problem import Problem, Refused, cut

BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class _Marked(dict[str, Any]):
    """An object with something wrong in its names, which is told once its place is known."""

    faults: tuple[Problem, ...] = ()


def read_json(body: bytes) -> Any:
    """Return what a body says; numbers are float64, and NaN and Infinity are left for the shape to refuse at its place.

    Raises Refused (400) with the place of what is no JSON, of names that stand twice and of text that is no Unicode.
    """
    text = _decoded(body)
    marked: list[bool] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        faults = tuple(_faults_of_names(pairs, found))
        if not faults:
            return found
        marked.append(True)
        kept = _Marked(list(found.items())[:COLUMNS])
        kept.faults = faults
        return kept

    try:
        # Every number through float: 5000 digits cost no more than their length, and 1e999 is told at its place.
        document = json.loads(text, object_pairs_hook=made, parse_int=float, parse_constant=lambda word: math.nan)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refused(
            400, Problem("json.invalid", f"no JSON: {error.msg} ({where})", "the body is one JSON object")
        ) from error
    except RecursionError as error:
        raise Refused(
            400, Problem("json.depth", "the body is nested too deeply", "a question has five levels")
        ) from error
    if marked or "\\u" in text:
        faults = [*_walk(document, "")]
        if faults:
            raise Refused(400, *faults)
    return document


def write_json(document: Any) -> bytes:
    """Return strict JSON in ASCII. Raises ValueError when a number is not finite."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")


def place(path: str, name: object) -> str:
    """Return the path of a member below a path."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{cut(name)}" if path else cut(name)


def _decoded(body: bytes) -> str:
    if body.startswith(BOMS):
        raise Refused(400, Problem("json.bom", "the body begins with a byte order mark", "plain UTF-8, without one"))
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        words = f"byte {error.start} is no UTF-8"
        raise Refused(400, Problem("json.encoding", words, "the body is UTF-8")) from error


def _faults_of_names(pairs: list[tuple[str, Any]], found: dict[str, Any]) -> Iterator[Problem]:
    if len(pairs) > COLUMNS:
        yield Problem("json.members", f"an object has {len(pairs):,} members", f"at most {COLUMNS}")
        return
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                yield Problem(
                    "json.twice", f"`{cut(name)}` stands twice", "only one of them can be meant", path=cut(name)
                )
            seen.add(name)
    for name in found:
        if len(name) > WORD:
            yield Problem("json.name", f"a name has {len(name):,} characters", f"at most {WORD}", path=cut(name))


def _walk(value: Any, path: str) -> Iterator[Problem]:
    """Yield what is wrong anywhere below, with its place."""
    if isinstance(value, str):
        if not _is_text(value):
            yield Problem("json.surrogate", f"`{cut(value)}` is no Unicode", "half of a surrogate pair", path=path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, str | list | dict):
                yield from _walk(item, place(path, number))
    elif isinstance(value, dict):
        for fault in getattr(value, "faults", ()):
            yield fault._replace(path=place(path, fault.path) if fault.path else path)
        for name, item in value.items():
            if not _is_text(name):
                yield Problem(
                    "json.surrogate", f"`{cut(name)}` is no Unicode", "half of a surrogate pair", path=place(path, name)
                )
            yield from _walk(item, place(path, name))


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
