"""What does not go together where a batch or a state is spread over devices."""

from gym_jax.config.schema import Train
from gym_jax.errors import ConfigError

Reason = tuple[str, object, str, str]
"""A key, its value, why it does not fit, and what would."""


def of_shards(train: Train) -> list[ConfigError]:
    """Return what does not go with canonical shards."""
    shards = train.shards or 1
    reasons: list[Reason] = []
    if train.batch_size % shards:
        fitting = -(-train.batch_size // shards) * shards
        reasons.append(
            ("train.batch_size", train.batch_size, "they share a batch evenly", f"train.batch_size={fitting}")
        )
    if train.placement == "shard":
        reasons.append(
            ("train.placement", "shard", "there the compiler chooses the order of sums", "train.placement=cores")
        )
    if train.devices is not None and shards % train.devices:
        reasons.append(("train.devices", train.devices, "every device takes as many shards", f"train.devices={shards}"))
    if train.accumulate > 1:
        reasons.append(("train.accumulate", train.accumulate, "they do so already", "train.accumulate=1"))
    return _conflicts(f"train.shards={shards}", reasons)


def of_parts(train: Train) -> list[ConfigError]:
    """Return what does not go with parameters in parts."""
    reasons: list[Reason] = []
    if train.placement not in ("auto", "shard"):
        reasons.append(
            ("train.placement", train.placement, "the compiler passes the parts around", "train.placement=shard")
        )
    if train.shards is not None:
        reasons.append(("train.shards", train.shards, "their sums need whole parameters", "train.shards=null"))
    if train.seeds > 1:
        reasons.append(("train.seeds", train.seeds, "several models share the devices whole", "train.seeds=1"))
    return _conflicts("train.parameters=shard", reasons)


def _conflicts(setting: str, reasons: list[Reason]) -> list[ConfigError]:
    return [
        ConfigError(
            f"{setting} does not go with {key}={value}",
            hint=hint,
            attempt=f"gymjax train ... {attempt}",
            code="config.conflict",
        )
        for key, value, hint, attempt in reasons
    ]
