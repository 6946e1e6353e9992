"""Recommendations for very many workloads: Parquet files read, judged and answered a piece at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gym_jax.allocate.recommend import COLUMNS, price_at, recommend, row_of
from gym_jax.config.schema import Config
from gym_jax.data.panel import Panel
from gym_jax.data.salvage import Unread, by_halves
from gym_jax.errors import DataError
from gym_jax.inference.scoring import Job, score_data
from gym_jax.run.allocate import Read, read_panel
from gym_jax.run.allocation import Allocation, load_allocation, refuse_unit
from gym_jax.run.folder import RunFolder


def recommend_into(
    folder: RunFolder,
    config: Config,
    out: str | Path,
    *,
    risk: float = 0.01,
    limits: bool = True,
    least: float | None = None,
    **how: Any,
) -> dict[str, Any]:
    """Write what `recommend_run` says of every workload of Parquet files into a folder of parts; return its manifest.

    A part has the columns of a table of recommendations. `how` and errors are those of `score_data`; ConfigError on
    another resource and on a risk that was not tuned.
    """
    kept = load_allocation(folder)
    price_at(kept.judgement.prices, risk)

    def make_job(panel: Panel, most: int) -> Job:
        unread: list[Unread] = []
        reads = _sound(panel, kept, unread)
        if not reads:
            raise DataError(unread[0].message, hint="none of the first workloads can be read", code=unread[0].code)
        refuse_unit(folder, kept, reads[0])
        asked = {"risk": risk, "limits": limits, "least": least}
        facts = {"command": "allocate recommend", "name": folder.path.name, "began": kept.facts["began"], **asked}
        return _job(kept, facts, asked)

    return score_data(config.data.path or "", out, config.data, make_job, **how)


def _job(kept: Allocation, facts: dict[str, Any], asked: dict[str, Any]) -> Job:
    import pyarrow as pa

    number, word = pa.float64(), pa.string()
    schema = pa.schema(zip(COLUMNS, (word, number, number, number, word, word, word), strict=True))

    def answer(panels: Sequence[Panel]) -> tuple[Any, list[Unread]]:
        unread: list[Unread] = []
        found = [one for panel in panels for read in _sound(panel, kept, unread) for one in read.workloads]
        told = recommend(found, kept.learned, kept.judgement, kept.protocol, resource=kept.resource, **asked)
        return pa.Table.from_pylist([row_of(one, kept.resource) for one in told], schema=schema), unread

    return Job(answer, schema.empty_table(), facts)


def _sound(panel: Panel, kept: Allocation, unread: list[Unread]) -> list[Read]:
    """Return the workloads that can be judged, and add the others to `unread`."""
    places = {name: place for place, name in enumerate(panel.series)}

    def read(names: Sequence[str]) -> Read:
        own = panel if len(names) == len(places) else panel.select([places[name] for name in names])
        return read_panel(own, resource=kept.resource)

    return list(by_halves(panel.series, read, unread))
