"""What is varied: read from a file and from the line, judged at its ends before anything is written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gym_jax.config.compose import named
from gym_jax.config.plain import inline
from gym_jax.config.schema import Config, names_of
from gym_jax.config.sweeps import Choice, Sweep, read_sweep
from gym_jax.config.text import check_text
from gym_jax.config.vary import belongs, is_choice, kinds_of, vary
from gym_jax.errors import ConfigError, gathered

Space = tuple[Sweep, ...]
ORIGIN = "the space"
OUTSIDE = ("run.", "track.", "schema_version", "train.init_", "evaluate.")
"""Settings that are of one run, or change nothing that is learnt."""


def split_words(words: Sequence[str]) -> tuple[Space, list[str]]:
    """Return what the words of a line vary, and the words that give one value. Raises ConfigError."""
    sweeps, rest = [], []
    for word in words:
        found = read_sweep(word) if "=" in word else None
        if found is None:
            rest.append(word)
        else:
            sweeps.append(found)
    return tuple(sweeps), rest


def read_space(path: str | Path) -> Space:
    """Return the space of a YAML file: `optim.lr: tag(log, interval(1e-4, 1e-2))`, nested or dotted; lists are choices.

    Raises ConfigError that names everything in it that is none.
    """
    name, place = str(path), Path(path).expanduser()
    if not place.is_file():
        raise ConfigError(
            f"no space `{name}`",
            hint="it is a YAML file of settings and what each may be",
            attempt="gymjax tune 'optim.lr=tag(log, interval(1e-4, 1e-2))'",
            code="config.not_found",
        )
    check_text(place, name)
    tree = named(yaml.safe_load(place.read_text(encoding="utf-8")))
    sweeps, problems = [], []
    for key, value in _leaves(tree):
        try:
            sweeps.append(_sweep(name, key, value))
        except ConfigError as error:
            problems.append(error)
    if problems:
        raise gathered(problems, code="config.problems")
    return tuple(sweeps)


def write_space(space: Space) -> str:
    """Return the text of a file that `read_space` reads."""
    return "".join(f"{sweep.key}: {inline(sweep.text)}\n" for sweep in space)


def judge_space(config: Config, space: Space) -> None:
    """Judge every end of the space by the schema. Raises ConfigError that names all that is wrong."""
    problems: list[ConfigError] = []
    keys = [sweep.key for sweep in space]

    def refuse(message: str, hint: str) -> None:
        attempt = "gymjax tune 'optim.lr=tag(log, interval(1e-4, 1e-2))'"
        problems.append(ConfigError(message, hint=hint, attempt=attempt, code="config.sweep"))

    if not space:
        refuse("nothing is varied", "give a key several values, or --space FILE")
    for key in dict.fromkeys(keys):
        if keys.count(key) > 1:
            refuse(f"`{key}` is varied twice", "say once what it may be")
        if key.startswith(OUTSIDE):
            refuse(f"`{key}` can not be varied", "what is varied is data, task, model, loss, optim, schedule or train")
    chosen: dict[str, list[str]] = {}
    for sweep in space:
        if is_choice(sweep.key) and isinstance(sweep.over, Choice):
            section = sweep.key.removesuffix(".kind")
            known = [value for value in sweep.over.values if value in names_of(section)]
            chosen[section] = known
    for sweep in space:
        section = sweep.key.split(".")[0]
        others = chosen.get(section, [])
        if is_choice(sweep.key) or not others:
            settings: list[dict[str, Any]] = [{}]
        else:
            owners = [kind for kind in others if belongs(sweep.key, {section: kind})]
            settings = [{section: kind} for kind in owners or others[:1]]
        for base in settings:
            for value in sweep.over.ends:
                try:
                    vary(config, {**base, sweep.key: value}, ORIGIN)
                except ConfigError as error:
                    problems += error.problems or (error,)  # type: ignore[arg-type]
    unique = list({problem.message: problem for problem in problems}.values())
    if unique:
        raise gathered(unique, code="config.problems")


def applicable(config: Config, space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those that the chosen kinds do not have, in the order of the space."""
    kinds = kinds_of(config, values)
    return {s.key: values[s.key] for s in space if s.key in values and (is_choice(s.key) or belongs(s.key, kinds))}


def _sweep(name: str, key: str, value: Any) -> Sweep:
    if isinstance(value, list):
        words = [item if isinstance(item, str) else inline(item) for item in value]
        value = ",".join(words) if len(words) > 1 else f"choice({words[0]})" if words else ""
    found = read_sweep(f"{key}={value}") if isinstance(value, str) else None
    if found is None:
        raise _bad(name, f"`{key}: {inline(value)}` is one value")
    return found


def _bad(name: str, what: str) -> ConfigError:
    return ConfigError(
        f"`{name}`: {what}",
        hint="each key has several: a list, choice(a, b), range(1, 9, 2), interval(0, 1), tag(log, interval(1, 9))",
        attempt=f"gymjax tune --space {name}",
        code="config.sweep",
    )


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in tree.items():
        out += _leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(f"{prefix}{name}", value)]
    return out
