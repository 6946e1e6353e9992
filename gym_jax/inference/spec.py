"""Everything about a trained model but its weights: what it is asked, what it reads, how its answers are made."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

from gym_jax.data.cases import CONSTANT
from gym_jax.data.learn import Learnt
from gym_jax.data.panel import Clock
from gym_jax.data.preprocess import Clipping, Fitted, Preprocessing, Scaling
from gym_jax.data.reading import Policy, Reading, Resample
from gym_jax.data.split import Splitting
from gym_jax.data.statistic import WindowStatistic
from gym_jax.evaluate.conformal import Calibration
from gym_jax.ranges import nearest_level

TaskKind = Literal["forecast", "regress", "classify"]


@dataclass(frozen=True, eq=False)
class Spec:
    """A trained model in words and numbers, all but its weights; `to_json` and back keeps every bit."""

    name: str
    """Of the run."""
    task: TaskKind
    """`forecast`, `regress` or `classify`."""
    context: int
    """Rows that the model was trained to look back; steps of a sequence."""
    look_back: int
    """Rows that it reads: a whole season of the seasonal baseline."""
    horizon: int
    """Rows that are forecast."""
    statistic: WindowStatistic
    """What is forecast of them instead, such as their maximum; `none`: every row."""
    targets: tuple[str, ...]
    """The columns that are forecast."""
    past: tuple[str, ...]
    """Further channels of the past, as read; of cases all channels."""
    known: tuple[str, ...]
    """Channels known ahead of time, as read."""
    static: tuple[str, ...]
    """Columns of numbers that belong to a series as a whole."""
    categories: tuple[str, ...]
    """Columns of words that do."""
    id_name: str
    """What ids are called in answers."""
    time_name: str
    """What times are called there."""
    step: int
    """Nanoseconds, or counts, from a row to the next; 0 of cases."""
    clock: Clock
    """`ns`: times are nanoseconds; `step`: they are counts."""
    calendar_zone: str | None
    """The zone whose clock the calendar follows; None takes the times as they are."""
    season: int
    """Rows that seasonal filling goes back."""
    series: tuple[str, ...]
    """Those of the training, in the order of the scaler's rows; none of cases."""
    preprocessing: Preprocessing
    """The steps before the model."""
    reading: Reading
    """How files with the columns of this model are read."""
    split: Splitting
    """Decides by which of its rows a new series is scaled."""
    model: Mapping[str, Any]
    """`kind` and every setting of the module, as it was built."""
    loss: Mapping[str, Any]
    """`kind` and its settings, with the `levels` that stand beside a point."""
    fitted: Fitted | None
    """Of a forecast: scaler, encoder, bounds."""
    learnt: Learnt | None
    """Of cases: scalers, encoder, classes."""
    calibration: Calibration | None
    """By how much the intervals are moved; None when the run is not calibrated."""
    floor: tuple[float | None, ...]
    """What each target has never been below, for calibrated intervals; None where nothing is known."""
    seed: int
    """Of the training; of a run of several seeds that of the member that is exported."""
    trained_step: int
    """The optimiser step that the weights are of."""
    weights: str
    """Which weights these are: trained, ema, schedule_free."""
    weights_digest: str
    """SHA-256 of them all."""
    versions: Mapping[str, str | None]
    """Of the packages that trained it."""
    notes: tuple[str, ...] = ()
    """What is to be known about the model, a sentence each."""

    @property
    def steps(self) -> int:
        """How many values are forecast of each target."""
        return self.horizon if self.statistic == "none" else 1

    @property
    def channels(self) -> tuple[str, ...]:
        """The columns of a series' values, in their order: targets, past, known; of cases their numbers, or none."""
        if self.task == "forecast":
            return (*self.targets, *self.past, *self.known)
        return () if self.past == (CONSTANT,) else self.past

    @property
    def classes(self) -> tuple[str, ...]:
        """What labels may be; none of numbers."""
        return () if self.learnt is None else self.learnt.classes

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles that stand beside a point forecast."""
        return tuple(self.loss.get("levels", ()))

    @property
    def middle(self) -> int:
        """The place of the level that is the point forecast."""
        return nearest_level(self.levels, 0.5)

    @property
    def interval_levels(self) -> tuple[float, ...]:
        """How often each calibrated interval is to hold; none when the model was not calibrated."""
        return () if self.calibration is None else self.calibration.levels

    @property
    def needs_times(self) -> bool:
        """Whether a series must say when its last row was: the model reads the calendar."""
        return bool(self.preprocessing.calendar)

    @property
    def rows_wanted(self) -> int:
        """Rows of a series that have a say in its forecast; fewer are masked in front. 0 where all of them have."""
        own = self.preprocessing
        if self.task != "forecast" or own.impute == "seasonal":
            return 0
        reach = max([*own.lags, *(window - 1 for window, _ in own.rolling), 0])
        return self.look_back + reach + (own.clip.window - 1 if own.clip.kind == "hampel" else 0)

    @cached_property
    def places(self) -> dict[str, int]:
        """The row of the scaler for each series of the training."""
        return {name: row for row, name in enumerate(self.series)}

    @cached_property
    def offset_places(self) -> dict[str, int]:
        """The row of the calibration for each series that has one."""
        return {} if self.calibration is None else {name: row for row, name in enumerate(self.calibration.series)}

    @cached_property
    def digest(self) -> str:
        """The version of the model, as servers show it: SHA-256 of all of this, weights included."""
        text = json.dumps(self.to_json(), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        out = {item.name: getattr(self, item.name) for item in fields(self)}
        out |= {
            name: None if out[name] is None else out[name].to_json() for name in ("fitted", "learnt", "calibration")
        }
        out |= {name: asdict(out[name]) for name in ("preprocessing", "reading", "split")}
        return _plain(out)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Spec":
        """Return what `to_json` wrote. Raises ValueError, KeyError, TypeError or a GymJaxError on what it did not."""
        out = dict(document)
        own, parts = dict(out["preprocessing"]), {"fitted": Fitted, "learnt": Learnt, "calibration": Calibration}
        own |= {"clip": Clipping(**own["clip"]), "scale": Scaling(**own["scale"])}
        own |= {name: tuple(own[name]) for name in ("lags", "calendar")}
        own["rolling"] = tuple((int(window), str(statistic)) for window, statistic in own["rolling"])
        read = dict(out["reading"])
        read |= {"policy": Policy(**read["policy"]), "resample": Resample(**read["resample"])}
        out |= {"preprocessing": Preprocessing(**own), "reading": Reading(**read), "split": Splitting(**out["split"])}
        out |= {name: None if out[name] is None else part.from_json(out[name]) for name, part in parts.items()}  # type: ignore[attr-defined]
        words = ("targets", "past", "known", "static", "categories", "series", "floor", "notes")
        return cls(**{**out, **{name: tuple(out[name]) for name in words}})


def _plain(value: Any) -> Any:
    """Return tuples as lists and mappings as dictionaries: what JSON makes of them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
