"""What `gymjax tune` and `gymjax sweep` make of their words: one configuration, and what is varied."""

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import typer

ANYTIME = ("resume", "root", "platform", "compile_cache", "as_json", "dry_run")
"""Options that say nothing about what is searched."""


def search_options(ctx: typer.Context, given: Mapping[str, Any], root: str | None) -> dict[str, Any]:
    """Return the settings that were given as options."""
    typed = getattr(ctx.get_parameter_source("root"), "name", "") == "COMMANDLINE"
    return {key: value for key, value in {**given, "run.root": root if typed else None}.items() if value is not None}


def load_search(
    words: Sequence[str], space: str | None, files: Sequence[str], options: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Return the settings of every run, and what is varied; the line has the last word, key by key.

    Raises ConfigError that names all that is wrong.
    """
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError, gathered
    from gym_jax.tune.space import read_space, split_words

    problems: list[ConfigError] = []
    sweeps: Any = ()
    rest = [word for word in words if "=" not in word]
    for word in words:
        if "=" in word:
            try:
                found, fixed = split_words([word])
                sweeps, rest = (*sweeps, *found), [*rest, *fixed]
            except ConfigError as error:
                problems.append(error)
    typed = {word.partition("=")[0] for word in words}
    try:
        held = read_space(space) if space is not None else ()
        sweeps = (*(sweep for sweep in held if sweep.key not in typed), *sweeps)
    except ConfigError as error:
        problems += error.problems or (error,)  # type: ignore[arg-type]
    try:
        config = load_config(files, rest, options, os.environ)
    except ConfigError as error:
        problems += error.problems or (error,)  # type: ignore[arg-type]
    if problems:
        raise gathered(problems, code="config.problems")
    return config, sweeps


def refuse_with_resume(ctx: typer.Context, command: str, allowed: Sequence[str] = ()) -> None:
    """Raise ConfigError when a search that is taken up is given anything that it was begun with."""
    from gym_jax.errors import ConfigError

    given = [
        name
        for name in ctx.params
        if name not in (*ANYTIME, *allowed)
        and getattr(ctx.get_parameter_source(name), "name", "") in ("COMMANDLINE", "ENVIRONMENT")
    ]
    if given:
        told = "settings" if given[0] == "overrides" else f"--{given[0].replace('_', '-')}"
        raise ConfigError(
            f"--resume goes on as the search began: {told} is for new ones",
            hint="another search needs a name of its own",
            attempt=shlex.join(["gymjax", command, "--resume", str(ctx.params["resume"])]),
            code="config.resume",
        )
