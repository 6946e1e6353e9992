"""Values of options that are more than a word or a number."""

import shlex

from gym_jax.errors import ConfigError


def parse_seconds(text: str, option: str = "--max-time", command: str = "train") -> float:
    """Return seconds out of `90`, `90s`, `30m`, `2h` or `1d`. Raises ConfigError."""
    scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:].lower())
    try:
        seconds = float(text[:-1] if scale else text) * (scale or 1)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ConfigError(
            f"{option} {shlex.quote(text)} is no length of time",
            hint="write 90s, 30m, 2h or 1d",
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
