"""The whole configuration: frozen, typed, no unknown keys. Every default lives here or where it is used."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, Field, model_validator

from gym_jax.config.derive import FORBID, choice, name_in, schema_of
from gym_jax.config.migrate import SCHEMA_VERSION
from gym_jax.config.tasks import with_task_defaults
from gym_jax.data.preprocess import Preprocessing
from gym_jax.data.reading import Reading
from gym_jax.data.split import Splitting
from gym_jax.data.statistic import WindowStatistic
from gym_jax.data.units import size_of
from gym_jax.errors import did_you_mean
from gym_jax.losses import HEAD_LOSSES, LOSSES
from gym_jax.metrics import METRICS
from gym_jax.models.precision import Dtype
from gym_jax.models.registry import MODELS
from gym_jax.optim import HOST_SCHEDULES, OPTIMISERS, SCHEDULES, Rate
from gym_jax.plugins import Registry
from gym_jax.track import TRACKERS
from gym_jax.types import Compile, Parameters, Placement, Positive

Count = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Text = Annotated[str, Field(min_length=1)]
OnNan = Literal["stop", "skip", "rollback"]
"""What is made of a step whose loss, gradient or parameters are not finite."""
Metric: TypeAlias = Any if TYPE_CHECKING else name_in(METRICS)
Tracker: TypeAlias = Any if TYPE_CHECKING else name_in(TRACKERS)


def is_size(text: str) -> str:
    """Return a text that is a size, such as 512MB. Raises ValueError."""
    size_of(text)
    return text


Size = Annotated[str, AfterValidator(is_size)]
Named = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Section(BaseModel):
    """A group of settings."""

    model_config = FORBID


class SyntheticData(Section):
    """The panel that stands in when no data are given."""

    series: Annotated[int, Gt(0), Le(100_000)] = 16
    """Machines."""
    days: Annotated[float, Ge(0.1), Le(3660)] = 14.0
    """Days of each, in steps of five minutes."""
    seed: Seed = 0
    """Of the whole panel."""
    gaps: Annotated[float, Ge(0), Le(0.5)] = 0.01
    """Share of the rows that are missing."""


@dataclass(frozen=True)
class Data(Preprocessing, Reading):
    """What is read and how, what becomes of it before a model sees it, and how it is divided."""

    path: Text | None = None
    """A file, folder or glob; None trains on a generated CPU-allocation panel, or table when a number is asked."""
    test_path: Text | None = None
    """Of tables and sequences: further ones that are the test part; `path` is then divided into train and val."""
    ignore: tuple[str, ...] = ()
    """Of tables and sequences: columns that are no features."""
    stride: Positive = 1
    """Steps between the origins of training windows."""
    memory: Size | None = None
    """What data may take at once, such as 512MB: a folder of Parquet is then read in portions; null holds all of it."""
    split: Splitting = Splitting()
    synthetic: SyntheticData = SyntheticData()


class Task(Section):
    """What is asked: forecast `horizon` steps out of the last `context`, or a number or class of every case."""

    kind: Literal["forecast", "regress", "classify"] = "forecast"
    """forecast: steps of series; regress: numbers of rows or sequences; classify: the class of each."""
    context: Positive = 96
    """Steps that a model looks back."""
    horizon: Positive = 12
    """Steps that it forecasts."""
    statistic: WindowStatistic = "none"
    """Forecast one value instead of every step: the peak, 95th percentile or mean of the coming `horizon` steps."""

    @property
    def steps(self) -> int:
        """How many values are forecast of each target."""
        return self.horizon if self.statistic == "none" else 1


class Train(Section):
    """How long, in what portions, from what start, where."""

    epochs: Positive = 20
    """Passes over the training windows, at most."""
    batch_size: Positive = 256
    """Windows of an optimiser step."""
    accumulate: Positive = 1
    """Equal portions a batch is computed in, one after the other, to save memory; the step is that of the whole."""
    clip: Annotated[float, Gt(0)] | None = 1.0
    """Largest global norm of the gradient; null clips nothing."""
    ema: Annotated[float, Gt(0), Lt(1)] | None = None
    """Decay of a running average of the parameters, which then validates, scores and forecasts; null keeps none."""
    compute_dtype: Dtype = "float32"
    """Of the matrix products of a model; parameters, loss and statistics are float32 always."""
    freeze: tuple[Text, ...] = ()
    """Parts of the model that keep their parameters: `head`, `layer_0`, `*/bias`."""
    init_from: Text | None = None
    """A run whose weights are the start."""
    init_step: Count | None = None
    """The step of `init_from`; null takes its best so far, and writes it down."""
    init_parts: tuple[Text, ...] = ()
    """Parts that start from `init_from`; empty takes all."""
    patience: Positive | None = 4
    """Epochs without a better validation loss before stopping; null never stops early."""
    on_nan: OnNan = "stop"
    """A step that is not finite: stop (nothing of it is saved), skip it, or roll its whole chunk of steps back."""
    nan_limit: Count = 10
    """Steps that `skip`, or chunks that `rollback`, may leave out of an epoch; one more stops the run."""
    loss_jump: Annotated[float, Gt(0)] | None = None
    """Spreads above the median of recent losses that are a fault too (20, say): stop, or roll back; null asks never."""
    seed: Seed = 0
    """Of weights, dropout and the order of windows."""
    seeds: Positive = 1
    """Models trained at once, with seeds from `seed` on; more than one make a group with its mean and its spread."""
    placement: Literal["auto", Placement] = "auto"
    """One device, CPU cores, a sharded program or pmap; `auto` takes what is fastest, after a race if it pays."""
    compile: Literal["auto", Compile] = "auto"
    """Safe, XLA's fast default, or that with wide vectors; `auto` is fast where the numbers agree and it pays."""
    devices: Positive | None = None
    """How many, those of all processes together; null takes all."""
    parameters: Parameters = "replicate"
    """Of `shard`: whole on every device, or in parts over them with the optimiser's state, to save their memory."""
    processes: Literal["variables", "auto"] = "variables"
    """Who says which of several processes this is: GYMJAX_PROCESS and its like, or also SLURM, Kubernetes, TPU pods."""
    join_seconds: Annotated[float, Gt(0)] = 60.0
    """Seconds in which all processes must have come."""
    peer_seconds: Annotated[float, Ge(2)] = 10.0
    """Seconds of silence after which a process is taken for dead, and the others end."""
    shards: Positive | None = None
    """Equal parts of a batch whose gradients are added in one order: the same bits on any number of devices."""
    chunk: Positive | None = None
    """Steps per compiled call; null takes about half a second's worth, counted from the model's operations."""


class Evaluate(Section):
    """What the trained model is held against."""

    batch_size: Positive = 1024
    """Windows that are forecast at once."""
    baselines: tuple[Literal["last", "seasonal", "linear", "mean", "median", "ridge", "majority", "nearest"], ...] = (
        "last",
        "seasonal",
        "linear",
    )
    """Simple answers that the scores are held against: by default those that suit the task."""
    season: Positive | None = None
    """Steps of a season for the seasonal baseline and MASE; null takes a day (a week for daily data)."""
    metrics: tuple[Metric, ...] = ()
    """Metrics of plug-ins that scores have beside the house's own, which are always there."""


class Track(Section):
    """What is noted about a run while it goes on; nothing of it changes a number."""

    log_level: Literal["debug", "info"] = "info"
    """Of log.jsonl in the run folder: `debug` notes every chunk and save too."""
    profile: Count = 0
    """Chunks to trace with JAX's profiler, after the one that compiles; the trace lies in the run folder."""
    to: tuple[Tracker, ...] = ()
    """Trackers that get the curves, settings and scores too; metrics.jsonl has every epoch in any case."""
    every: Annotated[float, Ge(0)] = 10.0
    """Shortest seconds between two points within an epoch; 0 sends every chunk. Epochs are always sent."""
    project: Text = "gym-jax"
    """Project of W&B, experiment of MLflow."""
    wandb_mode: Literal["offline", "online"] = "offline"
    """Whether W&B's files stay in the run folder, for `wandb sync`, or go over the network at once."""
    mlflow_uri: Text | None = None
    """Server or store of MLflow; null takes the SQLite file `mlflow.db` beside the run folder."""
    patience: Annotated[float, Ge(0)] = 10.0
    """Seconds that the end of a run waits for trackers, at most."""


class Run(Section):
    """Where the run is kept, how often it is saved, what it comes from."""

    root: Text = "runs"
    """Folder of the runs."""
    name: Named | None = None
    """Name of this one; null makes one of time, model and two words."""
    save_seconds: Annotated[float, Ge(0)] = 30.0
    """Shortest time between two saves while training; 0 saves after every chunk."""
    save_behind: bool = True
    """Write saves while training goes on; false has it wait for them."""
    watchdog_seconds: Annotated[float, Gt(0)] | None = None
    """Leave after so long without a step, or 20 times the usual; null: 60 if launched or one of several, else never."""
    compare_chunks: Count = 10
    """Compiled calls between two comparisons of the parameters of several processes; 0 never compares."""
    parent: Text | None = None
    """A run that this one continues with other settings."""
    parent_step: Count | None = None
    """The step of the parent that it begins with; null takes the newest."""


SCHEMAS: dict[str, dict[str, type[BaseModel]]] = {
    "model": Registry(
        "models",
        {kind: schema_of(kind, entry.module) for kind, entry in MODELS.items()},
        lambda kind, _: schema_of(kind, MODELS[kind].module),
    ),
    "loss": Registry(
        "losses",
        {kind: schema_of(kind, loss) for kind, loss in (LOSSES | HEAD_LOSSES).items()},
        lambda kind, _: schema_of(kind, LOSSES[kind]),
    ),
    "optim": {kind: schema_of(kind, make, {"lr": (Rate, 1e-3)}) for kind, make in OPTIMISERS.items()},
    "schedule": {
        kind: schema_of(kind, make, {"steps": (Positive | None, None)})
        for kind, make in (SCHEDULES | HOST_SCHEDULES).items()
    },
}
"""The schema of every kind of the sections that choose one."""
CHOICES: dict[str, tuple[str, ...]] = {section: tuple(schemas) for section, schemas in SCHEMAS.items()}
"""Sections that choose a kind, and the house's own kinds."""


def names_of(section: str) -> tuple[str, ...]:
    """Return the kinds that a section may be, those of plug-ins last."""
    known = SCHEMAS[section]
    return known.names() if isinstance(known, Registry) else tuple(known)


def which_kind(section: str, kind: str) -> str:
    """Return a hint at the kind that was meant by one that there is not."""
    known = SCHEMAS[section]
    return known.unknown(kind) if isinstance(known, Registry) else did_you_mean(kind, known)


if TYPE_CHECKING:
    ModelChoice: TypeAlias = Any
    LossChoice: TypeAlias = Any
    OptimChoice: TypeAlias = Any
    ScheduleChoice: TypeAlias = Any
    DEFAULT_MODEL = DEFAULT_LOSS = DEFAULT_OPTIM = DEFAULT_SCHEDULE = None
else:
    ModelChoice, DEFAULT_MODEL = choice(SCHEMAS["model"], "lstm")
    LossChoice, DEFAULT_LOSS = choice(SCHEMAS["loss"], "mae")
    OptimChoice, DEFAULT_OPTIM = choice(SCHEMAS["optim"], "adamw")
    ScheduleChoice, DEFAULT_SCHEDULE = choice(SCHEMAS["schedule"], "warmup_cosine")


class Config(Section):
    """Everything that decides a run. In `model`, `loss`, `optim` and `schedule` the key `kind` chooses."""

    schema_version: Literal[SCHEMA_VERSION] = SCHEMA_VERSION
    data: Data = Data()
    task: Task = Task()
    model: ModelChoice = DEFAULT_MODEL
    loss: LossChoice = DEFAULT_LOSS
    optim: OptimChoice = DEFAULT_OPTIM
    schedule: ScheduleChoice = DEFAULT_SCHEDULE
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    track: Track = Track()
    run: Run = Run()

    @model_validator(mode="before")
    @classmethod
    def _fill_in_kinds(cls, tree: Any) -> Any:
        """Let a section leave `kind` out: it then means the default kind, by the task where that has its own."""
        if not isinstance(tree, dict):
            return tree
        tree = with_task_defaults(tree, MODELS, cls.model_fields["model"].default.kind)
        kinds = {name: cls.model_fields[name].default.kind for name in CHOICES}
        return {
            name: {"kind": kinds[name], **value} if name in kinds and isinstance(value, dict) else value
            for name, value in tree.items()
        }

    def document(self) -> dict[str, Any]:
        """Return plain JSON values; loading them gives the same configuration."""
        return self.model_dump(mode="json")
