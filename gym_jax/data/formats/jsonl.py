"""JSON lines: one flat object a line."""

import json
from pathlib import Path
from typing import Any

from gym_jax.data.formats.arrow import converted
from gym_jax.data.formats.packed import is_packed, open_bytes, open_text
from gym_jax.data.formats.table import MISSING, Kind, Table, Wanted, readable, refuse_empty
from gym_jax.data.reading import Reading
from gym_jax.data.words import named, shown
from gym_jax.errors import DataError

SAMPLE = 1000


def open_jsonl(path: Path, reading: Reading) -> Table:
    """Open a file of one JSON object a line, plain or gzipped. Raises DataError that names the line."""
    where = named(path)
    samples: dict[str, list[Any]] = {}
    rows = 0
    with readable(where), open_text(path, "utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                rows += 1
                for name, value in _parse(line, number, path).items():
                    samples.setdefault(name, []).append(value)
            if rows == SAMPLE:
                break
    refuse_empty(rows, where)
    kinds: dict[str, Kind] = {name: "text" if _has_words(values) else "number" for name, values in samples.items()}

    def load(wanted: Wanted) -> Any:
        with readable(where):
            table = _quickly(path, wanted, samples)
            if table is None:
                table = _slowly(path, wanted, {*MISSING, *reading.missing_words})
            return converted(table, wanted, where, said=reading.missing_words)

    return Table(kinds, load)


def _quickly(path: Path, wanted: Wanted, samples: dict[str, list[Any]]) -> Any | None:
    """Read with Arrow; None when a row is of other types than the first ones, or says a name twice."""
    import pyarrow as pa
    from pyarrow import json as pj

    def type_of(name: str, kind: Kind) -> Any:
        if kind == "number":
            return pa.float64()
        if _has_words(samples[name]):
            return pa.string()
        return pa.float64() if any(isinstance(value, float) for value in samples[name]) else pa.int64()

    types = {name: type_of(name, kind) for name, kind in wanted.items()}
    options = pj.ParseOptions(explicit_schema=pa.schema(types), unexpected_field_behavior="ignore")
    with pa.PythonFile(open_bytes(path), "r") if is_packed(path) else pa.input_stream(str(path)) as stream:
        try:
            return pj.read_json(stream, parse_options=options)
        except pa.ArrowInvalid:
            return None


def _slowly(path: Path, wanted: Wanted, missing: set[str]) -> Any:
    """Read line by line, which takes NaN and mixed types and names the line that is wrong."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    with open_text(path, "utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                row = _parse(line, number, path)
                for name in wanted:
                    columns[name].append(row.get(name))
    arrays = {}
    for name, kind in wanted.items():
        values = columns[name]
        if kind == "number":
            values = [None if isinstance(value, str) and value in missing else value for value in values]
        if _has_words(values) or (kind == "text" and any(type(value) is int for value in values)):
            values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        elif kind == "number" or any(isinstance(value, float) for value in values):
            values = [None if value is None else float(value) for value in values]
        arrays[name] = pa.array(values)
    return pa.table(arrays)


def _parse(line: str, number: int, path: Path) -> dict[str, Any]:
    def plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise _broken(path, number, f"says `{shown(twice)}` twice")
        return row

    try:
        row = json.loads(line, object_pairs_hook=plain)
    except RecursionError as error:
        raise _broken(path, number, "is not JSON: its brackets nest too deep") from error
    except ValueError as error:
        at = f" (character {error.pos + 1:,})" if isinstance(error, json.JSONDecodeError) else ""
        raise _broken(path, number, f"is not JSON: {getattr(error, 'msg', error)}{at}") from error
    if not isinstance(row, dict):
        raise _broken(path, number, "is no object")
    bad = next((name for name, value in row.items() if isinstance(value, dict | list)), None)
    if bad is not None:
        raise _broken(path, number, f"is no flat row: `{shown(bad)}` is nested")
    return row


def _broken(path: Path, line: int, what: str) -> DataError:
    return DataError(
        f"{named(path)} line {line:,} {what}",
        hint='every line is a row such as {"unique_id": "a", "ds": "2026-01-01T00:00:00", "cpu": 1.5}',
        code="data.json",
    )


def _has_words(values: list[Any]) -> bool:
    return any(isinstance(value, str) for value in values)
