"""The `.ts` files of the UCR and UEA archives: one labelled case a line, its channels apart by colons."""

from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.data.formats.arrow import converted
from gym_jax.data.formats.packed import is_packed, open_text
from gym_jax.data.formats.table import Table, Wanted, is_number, readable, refuse_empty
from gym_jax.data.reading import Reading
from gym_jax.data.words import named, shown
from gym_jax.errors import DataError


def open_ts(path: Path, reading: Reading) -> Table:
    """Open a file of labelled cases: a series per case, counted steps, channels `dim_0` ..., its answer in `label`.

    The answer is a class behind `@classLabel true`, a number behind `@targetLabel true`.
    """
    import pyarrow as pa

    where = named(path)
    with readable(where):
        cases, labels = _parse(path)
    refuse_empty(len(cases), where)
    stem = path.name[: -len(".ts.gz" if is_packed(path) else ".ts")]
    lengths = [case.shape[1] for case in cases]
    owner = np.repeat(np.arange(len(cases)), lengths)
    dims = [f"dim_{i}" for i in range(len(cases[0]))]
    columns: dict[str, Any] = {
        "case": pa.DictionaryArray.from_arrays(owner.astype(np.int32), [f"{stem}-{i}" for i in range(len(cases))]),
        "step": np.concatenate([np.arange(length) for length in lengths]),
    }
    columns |= {name: np.concatenate([case[i] for case in cases]) for i, name in enumerate(dims)}
    numeric = bool(labels) and isinstance(labels[0], float)
    if numeric:
        columns["label"] = np.array(labels, np.float64)[owner]
    elif labels:
        words = list(dict.fromkeys(labels))
        codes = np.array([words.index(label) for label in labels], np.int32)
        columns["label"] = pa.DictionaryArray.from_arrays(codes[owner], words)
    table = pa.table(columns)
    said = {"id": "case", "time": "step", "time_unit": "step", "target": tuple(dims)}
    said |= {"static" if numeric else "categories": ("label",)} if labels else {}
    kinds = {name: "text" if name in ("case", "label") else "number" for name in columns}
    kinds |= {"label": "number"} if numeric else {}

    def load(wanted: Wanted) -> Any:
        return converted(table.select(list(wanted)), wanted, where)

    return Table(kinds, load, defaults=said)  # type: ignore[arg-type]


def _parse(path: Path) -> tuple[list[np.ndarray], list[Any]]:
    head: dict[str, str] = {}
    cases: list[np.ndarray] = []
    labels: list[Any] = []
    inside = False
    with open_text(path, "utf-8") as stream:
        for number, line in enumerate(stream, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("@"):
                key, _, value = line[1:].partition(" ")
                head[key.lower()] = value.strip()
                inside = key.lower() == "data"
                continue
            if not inside:
                raise _broken(path, number, "a case stands before @data")
            if head.get("timestamps", "").lower() == "true" or "(" in line:
                raise _broken(path, number, "cases with their own timestamps are not read")
            parts = line.split(":")
            said, *classes = head.get("classlabel", "false").split()
            if said.lower() == "true":
                labels.append(_label(path, number, parts.pop().strip(), classes))
            elif head.get("targetlabel", "false").lower() == "true":
                labels.append(_target(path, number, parts.pop().strip()))
            cases.append(_case(path, number, parts, head))
            if len(cases[-1]) != len(cases[0]):
                raise _broken(path, number, f"{len(cases[-1])} channels, the cases before have {len(cases[0])}")
    if not inside:
        raise _broken(path, 1, "there is no @data")
    return cases, labels


def _label(path: Path, number: int, label: str, classes: list[str]) -> str:
    if not label or (classes and label not in classes):
        expected = f"one of {', '.join(classes)}" if classes else "a class"
        raise _broken(path, number, f"it ends in `{shown(label)}`, not in {expected}")
    return label


def _target(path: Path, number: int, word: str) -> float:
    if word != "?" and not is_number(word):
        raise _broken(path, number, f"it ends in `{shown(word)}`, not in a number")
    return np.nan if word == "?" else float(word)


def _case(path: Path, number: int, parts: list[str], head: dict[str, str]) -> np.ndarray:
    channels = [[cell.strip() for cell in part.split(",")] for part in parts]
    bad = next((cell for channel in channels for cell in channel if cell != "?" and not is_number(cell)), None)
    if bad is not None:
        raise _broken(path, number, f"`{shown(bad)}` is no number")
    lengths = [len(channel) for channel in channels]
    if len(set(lengths)) != 1:
        raise _broken(path, number, f"its channels have {', '.join(map(str, lengths)) or 'no'} values")
    length = head.get("serieslength", "")
    if head.get("equallength", "").lower() == "true" and length.isdigit() and lengths[0] != int(length):
        raise _broken(path, number, f"{lengths[0]} values, @seriesLength says {length}")
    dimensions = head.get("dimensions", head.get("dimension", ""))
    if dimensions.isdigit() and len(channels) != int(dimensions):
        raise _broken(path, number, f"{len(channels)} channels, @dimensions says {dimensions}")
    return np.array([[np.nan if cell == "?" else float(cell) for cell in channel] for channel in channels])


def _broken(path: Path, line: int, what: str) -> DataError:
    return DataError(
        f"{named(path)} line {line:,}: {what}",
        hint="a case reads value,value,...:value,value,...:label",
        code="data.unreadable",
    )
