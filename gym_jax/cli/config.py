"""`gymjax config`: what a run would be, before it is one."""

from pathlib import Path
from typing import Annotated, Any

import typer

Sources = Annotated[
    list[str] | None,
    typer.Argument(help="Files, shipped names, runs, sections, key=value.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Root = Annotated[str, typer.Option(help="Folder of the runs.")]


def show(
    words: Sources = None,
    config: Annotated[list[str] | None, typer.Option("--config", "-c", help="YAML file or shipped name.")] = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    root: Root = "runs",
    as_json: AsJson = False,
) -> None:
    """Show the whole configuration that files, environment and overrides make, or that a run was made with.

    What is printed is a configuration file: `gymjax train --config` takes it.
    """
    from gym_jax.cli.show import print_json
    from gym_jax.config.document import flat, to_yaml

    loaded, sections = _load([*(config or []), *(words or [])], root)
    tree = {name: part for name, part in loaded.config.document().items() if name in sections or not sections}
    origins = {key: loaded.origin(key) for key in flat(tree)} if origin else {}
    if as_json:
        print_json("config show", {"config": tree, **({"origins": origins} if origin else {})})
        return
    if origin:
        print("# What has no remark is the default.")
    print(to_yaml(tree, lambda key: origins.get(key, "").removeprefix("default")), end="")


def validate(
    words: Annotated[list[str], typer.Argument(help="Files, shipped names, runs, key=value.", show_default=False)],
    root: Root = "runs",
    as_json: AsJson = False,
) -> None:
    """Judge configuration files, each with the overrides: every wrong word is named. No data are read."""
    from gym_jax.cli.show import print_json
    from gym_jax.errors import ConfigError, gathered

    overrides = [word for word in words if _is_override(word)]
    problems: list[ConfigError] = []
    good: list[str] = []
    names: list[str | None] = [word for word in words if not _is_override(word)]
    for name in names or [None]:
        try:
            _load([*([name] if name else []), *overrides], root)
            good.append(name or "the defaults")
        except ConfigError as error:
            problems += list(error.problems or (error,))  # type: ignore[arg-type]
    if problems:  # a wrong override is wrong with every file
        raise gathered(list({problem.message: problem for problem in problems}.values()), code="config.problems")
    if as_json:
        print_json("config validate", {"valid": good})
    else:
        print("\n".join(f"{name}: valid" for name in good))


def diff(
    words: Annotated[list[str], typer.Argument(help="Two runs, files or shipped names; one: beside the defaults.")],
    root: Root = "runs",
    as_json: AsJson = False,
) -> None:
    """Show the settings that differ between two configurations."""
    from gym_jax.cli.show import print_json, print_table
    from gym_jax.config.document import differences
    from gym_jax.config.load import load
    from gym_jax.config.plain import inline
    from gym_jax.errors import ConfigError

    if len(words) > 2:
        raise ConfigError(f"{len(words)} configurations", hint="two are compared", attempt="gymjax config diff A B")
    names = [*words, "defaults"] if len(words) == 1 else words
    configs = [_load([name], root)[0].config for name in words] + [load().config] * (2 - len(words))
    found = differences(*configs)
    if as_json:
        changes = [
            {"key": key, "values": {name: value for name, own in zip(names, pair, strict=True) for value in own}}
            for key, pair in found.items()
        ]
        print_json("config diff", {"names": names, "differences": changes})
    elif found:
        rows = [(key, *(inline(value[0]) if value else "-" for value in pair)) for key, pair in found.items()]
        print_table(("key", *names), rows)
    else:
        print("no setting differs")


def init(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="File to write, gymjax.yaml if none is named; key=value.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a configuration file to begin with: every setting, explained; what you do not choose is commented out."""
    import shlex

    from gym_jax.cli.show import print_json
    from gym_jax.config.document import starting_file
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError

    names = [word for word in words or [] if not _is_override(word)]
    path = Path(names[0] if names else "gymjax.yaml")
    if len(names) > 1 or path.suffix != ".yaml":
        raise ConfigError(f"`{names[-1]}` is no name of a configuration", hint="one file is written; it ends in .yaml")
    text = starting_file(load_config([], [word for word in words or [] if _is_override(word)]), str(path))
    name = shlex.quote(str(path))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(
            f"`{path}` exists already", hint="nothing is overwritten", attempt=f"gymjax config validate {name}"
        ) from error
    if as_json:
        print_json("config init", {"file": str(path)})
    else:
        print(f"{path}: edit it, then: gymjax train --config {name}")


def schema(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; default stdout.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of a configuration file, by which editors complete and check it."""
    import json

    from gym_jax.cli.show import print_json
    from gym_jax.config.document import json_schema

    if out is not None:
        out.write_text(json.dumps(json_schema(), indent=1) + "\n")
    if as_json:
        print_json("config schema", {"file": str(out)} if out else {"json_schema": json_schema()})
    elif out is None:
        print(json.dumps(json_schema(), indent=1))
    else:
        print(f"begin a configuration with: # yaml-language-server: $schema={out}")


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith("~")


def _load(words: list[str], root: str) -> tuple[Any, list[str]]:
    """Return what the words make, and the sections that they name. A run is shown as it is: no environment."""
    import os

    from gym_jax.config.load import load
    from gym_jax.config.schema import Config

    sections = [word for word in words if word in Config.model_fields]
    files = [_file(word, root) for word in words if not _is_override(word) and word not in sections]
    of_run = any((path if path.is_dir() else path.parent).joinpath("data.json").is_file() for path in map(Path, files))
    overrides = [word for word in words if _is_override(word)]
    return load(files, overrides, environ={} if of_run else os.environ), sections


def _file(name: str, root: str) -> str:
    """Return the file of a run that a word names, or the word as it is: `load` knows files and shipped names."""
    from gym_jax.config.compose import find_config
    from gym_jax.errors import CheckpointError, ConfigError
    from gym_jax.run.folder import open_run

    try:
        find_config(name)
    except ConfigError:
        try:
            return str(open_run(name, root).path / "config.yaml")
        except CheckpointError:
            return name
    return name
