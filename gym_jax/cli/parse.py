"""Values of options that are more than a word or a number."""

import re
import shlex

from gym_jax.errors import ConfigError

_SCALES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = r"(\d+(?:\.\d*)?|\.\d+)([smhdwSMHDW])"


def parse_seconds(text: str, option: str = "--max-time", command: str = "train") -> float:
    """Return seconds out of `90`, `90s`, `30m`, `1h30m`, `1d` or `2w`. Raises ConfigError."""
    try:
        seconds = float(text)
    except ValueError:
        whole = re.fullmatch(rf"(?:{_PART})+", text)
        seconds = (
            sum(float(number) * _SCALES[unit.lower()] for number, unit in re.findall(_PART, text)) if whole else -1
        )
    if not 0 <= seconds < float("inf"):
        raise ConfigError(
            f"{option} {shlex.quote(text)} is no length of time",
            hint="write 90s, 30m, 1h30m, 1d or 2w",
            attempt=f"gymjax {command} ... {option} 30m",
        )
    return seconds


def parse_bytes(text: str, option: str) -> int:
    """Return bytes out of `512MB`, `2GiB` or `1Gi`. Raises ConfigError."""
    from gym_jax.data.units import size_of

    try:
        return size_of(text)
    except ValueError as error:
        raise ConfigError(
            f"{option} {shlex.quote(text)}: {error}",
            hint="a number and its unit",
            attempt=f"gymjax ... {option} 512MB",
            code="usage",
        ) from error


def parse_trackers(text: str) -> list[str]:
    """Return the names in `tensorboard,wandb`; `none` names none. Wrong ones are refused with the settings."""
    names = [name for word in text.split(",") if (name := word.strip().lower())]
    return [] if names == ["none"] else names
