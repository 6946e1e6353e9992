"""What single settings can not say: combinations that do not go together."""

from gym_jax.config.derive import settings
from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError
from gym_jax.losses import HEAD_LOSSES
from gym_jax.models.registry import MODELS
from gym_jax.optim import HOST_SCHEDULES

OWN_SCHEDULE = ("schedule_free",)
"""Optimisers that average along the way and want a constant rate."""
FLAT = ("constant", "warmup_constant")


def find_conflicts(config: Config) -> list[ConfigError]:
    """Return everything that does not go together."""
    out: list[ConfigError] = []

    def refuse(message: str, hint: str, attempt: str) -> None:
        out.append(ConfigError(message, hint=hint, attempt=f"gymjax train ... {attempt}", code="config.conflict"))

    train, kind = config.train, config.optim.kind
    if config.task.statistic in ("p95", "mean") and config.data.scale.log1p:
        refuse(
            f"task.statistic={config.task.statistic} does not go with data.scale.log1p",
            "that of the logarithms is not the logarithm of that of the values; a peak is",
            "task.statistic=max",
        )
    if train.placement == "one" and train.devices not in (None, 1):
        refuse(
            f"train.devices={train.devices} needs a placement: cores, shard or pmap",
            "train.placement=one runs on one device",
            "train.placement=cores",
        )
    if train.accumulate > train.batch_size:
        refuse(
            f"train.accumulate={train.accumulate} is more than train.batch_size={train.batch_size}",
            "a batch is computed in that many portions",
            f"train.accumulate={train.batch_size}",
        )
    if kind in OWN_SCHEDULE and config.schedule.kind not in FLAT:
        refuse(
            f"optim={kind} does not go with schedule={config.schedule.kind}",
            f"it takes the place of a schedule; choose {' or '.join(FLAT)}",
            "schedule=warmup_constant",
        )
    if kind in OWN_SCHEDULE and train.ema is not None:
        refuse(f"optim={kind} does not go with train.ema", "it averages the parameters itself", "train.ema=null")
    if config.schedule.kind in HOST_SCHEDULES and not _validates(config):
        refuse(
            f"schedule={config.schedule.kind} needs a val part",
            "it lowers the rate when the validation loss no longer falls",
            "data.split.val=0.1",
        )
    if train.init_parts and train.init_from is None:
        refuse(
            "train.init_parts names parts of a run, but there is no train.init_from", "name the run", "--init-from RUN"
        )
    if config.run.name in ("latest", "auto"):
        refuse(
            f"run.name={config.run.name} means another run",
            "`latest` is the newest run, `auto` the newest unfinished one",
            "run.name=mine",
        )
    if config.run.parent is not None and train.init_from is not None:
        refuse(
            "run.parent and train.init_from are two starts",
            "a child run continues with everything, init_from takes weights only",
            "train.init_from=null",
        )
    entry = MODELS[config.model.kind]
    if entry.solve is not None and (train.freeze or train.init_from):
        refuse(
            f"train.freeze and train.init_from mean nothing to model={config.model.kind}",
            "it is not trained by gradient; leave them out",
            "train.freeze=[] train.init_from=null",
        )
    if entry.solve is not None and config.run.parent is not None:
        refuse(
            f"run.parent means nothing to model={config.model.kind}",
            "it is solved at once: there is nothing to continue",
            "run.parent=null",
        )
    if train.seeds > 1 and entry.solve is not None:
        refuse(
            f"train.seeds={train.seeds} means nothing to model={config.model.kind}",
            "it is solved at once and draws nothing: every seed would be the same",
            "train.seeds=1",
        )
    if train.seeds > 1 and config.run.parent is not None:
        refuse(
            f"train.seeds={train.seeds} does not go with run.parent",
            "a child continues one model; fork a single member: RUN/members/SEED",
            "train.seeds=1",
        )
    if train.seed + train.seeds > 2**63:
        refuse(
            f"train.seeds={train.seeds} from train.seed={train.seed} on leaves the range of seeds",
            "a seed is below 2**63",
            "train.seed=0",
        )
    if config.loss.kind in HEAD_LOSSES and "outputs" not in entry.fields:
        refuse(
            f"loss={config.loss.kind} does not go with model={config.model.kind}",
            "that model answers with one value",
            f"model=lstm loss={config.loss.kind}",
        )
    try:
        entry.module(horizon=1, **settings(config.model))
    except ConfigError as error:
        out.append(error)
    return out


def _validates(config: Config) -> bool:
    split = config.data.split
    return {"steps": bool(split.val_steps), "date": split.val_from is not None}.get(split.kind, split.val > 0)
