"""What single settings can not say: combinations that do not go together."""

from typing import Any

from gym_jax.config.derive import settings
from gym_jax.config.plain import inline
from gym_jax.config.schema import Config
from gym_jax.config.spread import of_parts, of_shards
from gym_jax.config.tasks import FITS, NUMBERS
from gym_jax.errors import ConfigError
from gym_jax.losses import HEAD_LOSSES, LOSSES
from gym_jax.models.registry import MODELS
from gym_jax.optim import HOST_SCHEDULES
from gym_jax.plugins import one_line

OWN_SCHEDULE = ("schedule_free",)
"""Optimisers that average along the way and want a constant rate."""
FLAT = ("constant", "warmup_constant")


def find_conflicts(config: Config) -> list[ConfigError]:
    """Return everything that does not go together."""
    out: list[ConfigError] = []

    def refuse(message: str, hint: str, attempt: str) -> None:
        out.append(ConfigError(message, hint=hint, attempt=f"gymjax train ... {attempt}", code="config.conflict"))

    train, kind, horizon = config.train, config.optim.kind, config.task.horizon
    for name in ("val_steps", "test_steps"):
        if 0 < (steps := getattr(config.data.split, name)) < horizon:
            refuse(
                f"data.split.{name}={steps} holds no window of task.horizon={horizon}",
                "a window belongs to the part in which all of its targets lie",
                f"data.split.{name}={horizon}",
            )
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
    if train.parameters == "shard":
        out.extend(of_parts(train))
    if train.accumulate > train.batch_size:
        refuse(
            f"train.accumulate={train.accumulate} is more than train.batch_size={train.batch_size}",
            "a batch is computed in that many portions",
            f"train.accumulate={train.batch_size}",
        )
    if train.loss_jump is not None and train.on_nan == "skip":
        refuse(
            "train.loss_jump does not go with train.on_nan=skip",
            "a jump is seen after the steps that led to it: stop there, or roll them back",
            "train.on_nan=rollback",
        )
    if train.shards is not None:
        out.extend(of_shards(train))
    if kind in OWN_SCHEDULE and config.schedule.kind not in FLAT:
        refuse(
            f"optim={kind} does not go with schedule={config.schedule.kind}",
            f"it takes the place of a schedule; choose {' or '.join(FLAT)}",
            "schedule=warmup_constant",
        )
    if kind in OWN_SCHEDULE and train.ema is not None:
        refuse(f"optim={kind} does not go with train.ema", "it averages the parameters itself", "train.ema=null")
    if config.schedule.kind in HOST_SCHEDULES and not validates(config):
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
    if config.loss.kind in HEAD_LOSSES and "outputs" not in entry.fields and config.task.kind == "forecast":
        refuse(
            f"loss={config.loss.kind} does not go with model={config.model.kind}",
            "that model answers with one value",
            f"model=lstm loss={config.loss.kind}",
        )
    out += _misfits(config) + (_of_memory(config) if config.data.memory is not None else [])
    try:
        entry.module(horizon=1, **settings(config.model))
    except ConfigError as error:
        out.append(error)
    except Exception as error:
        if (plugin := MODELS.plugin(config.model.kind)) is None:
            raise
        message = f"{plugin.package} refuses the settings of model={plugin.name}: {one_line(error)}"
        out.append(
            ConfigError(message, hint="its settings are told there", attempt=f"gymjax models show {plugin.name}")
        )
    return out


def _of_memory(config: Config) -> list[ConfigError]:
    """Return what can not be had of data that are read in portions."""
    said, scale = f"data.memory={config.data.memory} does not go with ", config.data.scale
    entry = MODELS[config.model.kind]
    found = [
        (
            entry.solve is not None and entry.solve_of is None,
            f"model={config.model.kind}",
            "it is solved on all train windows at once",
            "model=mlp",
        ),
        (
            config.train.seeds > 1,
            f"train.seeds={config.train.seeds}",
            "several models go through resident data together; train them one after the other",
            "train.seeds=1",
        ),
        (
            scale.kind == "robust" and scale.scope == "global",
            "data.scale.kind=robust of scope=global",
            "a median of all rows can not be put together out of portions; that of each series can",
            "data.scale.scope=series",
        ),
    ]
    return [
        ConfigError(said + what, hint=hint, attempt=f"gymjax train ... {attempt}", code="config.conflict")
        for wrong, what, hint, attempt in found
        if wrong
    ]


def _misfits(config: Config) -> list[ConfigError]:
    """Return every setting that does not go with the task."""
    kind, fit = config.task.kind, FITS[config.task.kind]
    out: list[ConfigError] = []

    def refuse(said: str, hint: str, attempt: str) -> None:
        out.append(
            ConfigError(
                f"{said} does not go with task.kind={kind}",
                hint=hint,
                attempt=f"gymjax train ... {attempt}",
                code="config.conflict",
            )
        )

    added = fit.losses == NUMBERS and LOSSES.plugin(config.loss.kind) is not None
    if config.loss.kind not in fit.losses and not added:
        hint = f"it {fit.asks}, with {' or '.join(fit.losses)}"
        refuse(f"loss={config.loss.kind}", hint, f"loss={fit.losses[0]}")
    if config.data.split.kind not in fit.splits:
        hint = f"it {fit.asks}, divided by {' or '.join(fit.splits)}"
        refuse(f"data.split.kind={config.data.split.kind}", hint, f"data.split.kind={fit.splits[0]}")
    if odd := [name for name in config.evaluate.baselines if name not in fit.baselines]:
        hint = f"it {fit.asks}: choose from {', '.join(fit.baselines)}"
        refuse(f"evaluate.baselines={odd[0]}", hint, f"evaluate.baselines=[{fit.baselines[0]}]")
    for path in fit.unfit:
        if (value := _value(config, path)) != _value(Config(), path):
            plain = fit.defaults.get(path, _value(Config(), path))
            shown = "" if hasattr(value, "__dataclass_fields__") else f"={inline(value)}"
            attempt = f"~{path}" if shown == "" else f"{path}={inline(plain)}"
            refuse(f"{path}{shown}", f"it {fit.asks}; leave it out", attempt)
    return out + (_misfits_of_cases(config) if kind != "forecast" else [])


def _misfits_of_cases(config: Config) -> list[ConfigError]:
    """Return what a model of cases can not have, beside what no task of theirs has."""
    model, split = config.model, config.data.split
    out: list[ConfigError] = []

    def refuse(message: str, hint: str, attempt: str) -> None:
        out.append(ConfigError(message, hint=hint, attempt=f"gymjax train ... {attempt}", code="config.conflict"))

    trained = [name for name, other in MODELS.items() if other.solve is None and "outputs" in other.fields]
    entry = MODELS[config.model.kind]
    if entry.solve is not None or "outputs" not in entry.fields:
        hint = f"it forecasts; choose from {', '.join(trained)}"
        refuse(f"model={model.kind} does not go with task.kind={config.task.kind}", hint, f"model={trained[0]}")
    elif getattr(model, "normalise", "none") != "none":
        refuse(
            f"model.normalise={model.normalise} does not go with task.kind={config.task.kind}",
            "its level is put back into a forecast; data.scale.scope=series scales each sequence by itself",
            "model.normalise=none",
        )
    if getattr(model, "channels", "mixed") != "mixed":
        refuse(
            f"model.channels={model.channels} does not go with task.kind={config.task.kind}",
            "an answer is made of all channels",
            "model.channels=mixed",
        )
    if config.task.horizon != 1:
        refuse(
            f"task.horizon={config.task.horizon} does not go with task.kind={config.task.kind}",
            "a case has one answer, not steps",
            "task.horizon=1",
        )
    apart = config.data.test_path is not None
    if split.kind == "random" and not apart and split.train + split.val > 1 - 1e-9:
        refuse(
            f"data.split.train={split.train:g} and data.split.val={split.val:g} leave no test part",
            "the test part is what is left; data.test_path is one apart",
            "data.split.train=0.7 data.split.val=0.1",
        )
    if apart and (split.kind == "fold" or config.data.path is None):
        refuse(
            "data.test_path needs data.path and data.split.kind=random",
            "the test part is that file: the other is divided into train and val, by data.split.val",
            "--data FILE data.split.kind=random",
        )
    return out


def _value(config: Config, path: str) -> Any:
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def validates(config: Config) -> bool:
    """Return whether a part of the data is left to validate with."""
    split = config.data.split
    return {"steps": bool(split.val_steps), "date": split.val_from is not None}.get(split.kind, split.val > 0)
