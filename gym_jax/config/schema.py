"""The whole configuration: frozen, typed, no unknown keys. Every default lives here or where it is used."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Field, model_validator

from gym_jax.config.derive import FORBID, choice
from gym_jax.data.preprocess import Preprocessing
from gym_jax.data.reading import Reading
from gym_jax.data.split import Splitting
from gym_jax.losses import LOSSES
from gym_jax.models.registry import MODELS
from gym_jax.optim import OPTIMISERS, SCHEDULES, Rate
from gym_jax.types import Placement, Positive

Count = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Amount = Annotated[float, Gt(0)]
Named = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Section(BaseModel):
    """A group of settings."""

    model_config = FORBID


class SyntheticData(Section):
    """The panel that stands in when no data are given."""

    series: Annotated[int, Gt(0), Le(100_000)] = 16
    days: Annotated[float, Ge(0.1), Le(3660)] = 14.0
    seed: Seed = 0
    gaps: Annotated[float, Ge(0), Le(0.5)] = 0.01


@dataclass(frozen=True)
class Data(Preprocessing, Reading):
    """What is read and how, what becomes of it before a model sees it, and how it is divided."""

    path: str | None = None
    """A file, folder or glob; None trains on a generated CPU-allocation panel."""
    stride: Positive = 1
    """Steps between the origins of training windows."""
    split: Splitting = Splitting()
    synthetic: SyntheticData = SyntheticData()


class Task(Section):
    """What is asked: forecast `horizon` steps out of the last `context`."""

    kind: Literal["forecast"] = "forecast"
    context: Positive = 96
    horizon: Positive = 12


class Train(Section):
    """How long, in what portions, where."""

    epochs: Positive = 20
    batch_size: Positive = 256
    clip: Amount | None = 1.0
    """Largest global norm of the gradient; null clips nothing."""
    patience: Positive | None = 4
    """Epochs without a better validation loss before stopping; null never stops early."""
    seed: Seed = 0
    placement: Placement = "one"
    devices: Positive | None = None
    chunk: Positive | None = None
    """Steps per compiled call; null takes about half a second's worth, counted from the model's operations."""

    @model_validator(mode="after")
    def _use_what_is_asked_for(self) -> "Train":
        if self.placement == "one" and self.devices not in (None, 1):
            raise ValueError(f"devices={self.devices} needs a placement: cores, shard or pmap")
        return self


class Evaluate(Section):
    """What the trained model is held against."""

    batch_size: Positive = 1024
    baselines: tuple[Literal["last", "seasonal", "linear"], ...] = ("last", "seasonal", "linear")
    season: Positive | None = None
    """Steps of a season for the seasonal baseline and MASE; null takes a day (a week for daily data)."""


class Run(Section):
    """Where the run is kept and how often it is saved."""

    root: str = "runs"
    name: Named | None = None
    save_seconds: Annotated[float, Ge(0)] = 30.0
    """Shortest time between two saves while training; 0 saves after every chunk."""


if TYPE_CHECKING:
    ModelChoice: TypeAlias = Any
    LossChoice: TypeAlias = Any
    OptimChoice: TypeAlias = Any
    ScheduleChoice: TypeAlias = Any
    DEFAULT_MODEL = DEFAULT_LOSS = DEFAULT_OPTIM = DEFAULT_SCHEDULE = None
else:
    ModelChoice, DEFAULT_MODEL = choice({name: kind.module for name, kind in MODELS.items()}, "lstm")
    LossChoice, DEFAULT_LOSS = choice(LOSSES, "mae")
    OptimChoice, DEFAULT_OPTIM = choice(OPTIMISERS, "adamw", common={"lr": (Rate, 1e-3)})
    ScheduleChoice, DEFAULT_SCHEDULE = choice(SCHEDULES, "warmup_cosine")


class Config(Section):
    """Everything that decides a run. In `model`, `loss`, `optim` and `schedule` the key `kind` chooses."""

    schema_version: Literal[1] = 1
    data: Data = Data()
    task: Task = Task()
    model: ModelChoice = DEFAULT_MODEL
    loss: LossChoice = DEFAULT_LOSS
    optim: OptimChoice = DEFAULT_OPTIM
    schedule: ScheduleChoice = DEFAULT_SCHEDULE
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    run: Run = Run()

    @model_validator(mode="before")
    @classmethod
    def _fill_in_kinds(cls, tree: Any) -> Any:
        """Let a section leave `kind` out: it then means the default kind."""
        if not isinstance(tree, dict):
            return tree
        kinds = {name: cls.model_fields[name].default.kind for name in CHOICES}
        return {
            name: {"kind": kinds[name], **value} if name in kinds and isinstance(value, dict) else value
            for name, value in tree.items()
        }

    def document(self) -> dict[str, Any]:
        """Return plain JSON values; loading them gives the same configuration."""
        return self.model_dump(mode="json")


CHOICES: dict[str, tuple[str, ...]] = {
    "model": tuple(MODELS),
    "loss": tuple(LOSSES),
    "optim": tuple(OPTIMISERS),
    "schedule": tuple(SCHEDULES),
}
"""Sections that choose a kind, and the kinds there are."""
