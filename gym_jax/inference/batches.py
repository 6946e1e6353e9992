"""An export as a function from frame to frame, for programs that deal batches to many workers: Ray, Spark, Dask.

A batch holds whole series. The export is opened once in each process.
"""

import functools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gym_jax.data.read import read_frame
from gym_jax.data.salvage import Unread, by_halves
from gym_jax.errors import ConfigError, DataError
from gym_jax.inference.artefact import MANIFEST
from gym_jax.inference.frame import no_answers, predict_panel
from gym_jax.inference.model import Backend, Model, load_export
from gym_jax.inference.scoring import OnError

if TYPE_CHECKING:
    import pandas as pd

LOGGER = logging.getLogger(__name__)
SPARK = {"object": "string", "str": "string", "string": "string", "int64": "bigint", "float64": "double"}
"""What Spark calls the types of answers; what is not there is a time."""


def predict_batch(
    batch: Any, *, model: str | Path, backend: Backend = "auto", on_error: OnError = "stop"
) -> "pd.DataFrame | Any":
    """Return the forecasts for the series of a pandas frame or an Arrow table, as one of that kind.

    Columns are those of `gymjax predict`. Raises what `load_export` does, ConfigError when the model answers cases, and
    DataError at the first series that can not be answered; with `on_error="skip"` such series are left out, and a
    warning is logged that names them.
    """
    import pandas as pd

    arrow = not isinstance(batch, pd.DataFrame)
    frame = batch.to_pandas() if arrow else batch
    found = _predicted(_opened(str(Path(model).absolute()), backend), frame, on_error)
    if not arrow:
        return found
    import pyarrow as pa

    return pa.Table.from_pandas(found, preserve_index=False)


def predict_batches(batches: Iterable["pd.DataFrame"], **how: Any) -> Iterator["pd.DataFrame"]:
    """Yield the forecasts for frames that follow each other, sorted by series: one may reach into the next frame.

    `how` and errors are those of `predict_batch`, such as the ConfigError of a model that answers cases.
    """
    import pandas as pd

    held: list[pd.DataFrame] = []
    for batch in batches:
        if not len(batch):
            continue
        id = _id_of(batch, **how)
        last = batch[id].iloc[-1]
        whole, open_ = batch[batch[id] != last], batch[batch[id] == last]
        if held and held[0][id].iloc[0] != last:
            yield predict_batch(pd.concat([*held, whole]), **how)
            held = []
        elif len(whole):
            yield predict_batch(whole, **how)
        held.append(open_)
    if held:
        yield predict_batch(pd.concat(held), **how)


def answer_types(model: str | Path, *, zone: bool = False) -> str:
    """Return the columns of answers and their types as Spark writes them; `zone` where times have one.

    Raises what `load_export` does.
    """
    frame = no_answers(load_export(model).spec, zone)
    return ", ".join(f"`{name}` {SPARK.get(str(kind), 'timestamp')}" for name, kind in frame.dtypes.items())


def _id_of(batch: "pd.DataFrame", *, model: str | Path, backend: Backend = "auto", **_: Any) -> str:
    """Return the column that tells the series of a frame apart. Raises ConfigError when it has none."""
    name = _opened(str(Path(model).absolute()), backend).spec.id_name
    if name not in batch.columns:
        raise ConfigError(f"a batch has no column `{name}`, which tells its series apart", hint="name it so")
    return name


def _opened(path: str, backend: Backend) -> Model:
    """Return an export, opened once in this process unless it was replaced."""
    manifest = Path(path) / MANIFEST
    return _open(path, backend, manifest.stat().st_mtime_ns if manifest.is_file() else 0)


@functools.lru_cache(maxsize=4)
def _open(path: str, backend: Backend, mark: int) -> Model:
    model = load_export(path, backend)
    if model.spec.task != "forecast":
        raise ConfigError(
            f"{path} answers cases, not series",
            hint="cases are rows: ask the model itself",
            attempt="gymjax predict EXPORT --data FILE",
        )
    return model


def _predicted(model: Model, frame: "pd.DataFrame", on_error: OnError) -> "pd.DataFrame":
    import pandas as pd

    spec = model.spec
    if not len(frame):
        zone = spec.time_name in frame and isinstance(frame[spec.time_name].dtype, pd.DatetimeTZDtype)
        return no_answers(spec, zone)
    try:
        return predict_panel(model, read_frame(frame, spec.reading))
    except DataError:
        if on_error == "stop" or spec.id_name not in frame:
            raise
    ids = frame[spec.id_name].astype(str)

    def read(names: Sequence[str]) -> "pd.DataFrame":
        return predict_panel(model, read_frame(frame[ids.isin(names)], spec.reading))

    unread: list[Unread] = []
    found = list(by_halves(list(dict.fromkeys(ids)), read, unread))
    for one in unread:
        LOGGER.warning("series %s is not answered: %s", one.series, one.message)
    return pd.concat(found, ignore_index=True) if found else _predicted(model, frame.iloc[:0], on_error)
