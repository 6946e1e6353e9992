"""`gymjax config`: what a run would be, before it is one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gym_jax.cli.options import AsJson, Configs, Root

Sources = Annotated[
    list[str] | None,
    typer.Argument(help="Files, shipped names, runs, sections, key=value.", show_default=False),
]


def show(
    words: Sources = None,
    config: Configs = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show the whole configuration that files, environment and overrides make, or that a run was made with.

    What is printed is a configuration file: `gymjax train --config` takes it. Sections and keys show these alone.
    """
    from gym_jax.cli.show import print_json
    from gym_jax.config.document import flat, picked, to_yaml

    named = [word for word in words or [] if _is_key(word)]
    loaded = _load([word for word in words or [] if word not in named], root, config or [])
    tree = picked(loaded.config.document(), named)
    origins = {key: loaded.origin(key) for key in flat(tree)} if origin else {}
    if as_json:
        print_json("config show", {"config": tree, **({"origins": origins} if origin else {})})
        return
    if origin:
        print("# What has no remark is the default.")
    print(to_yaml(tree, lambda key: origins.get(key, "").removeprefix("default")), end="")


def validate(
    words: Annotated[list[str], typer.Argument(help="Files, shipped names, runs, key=value.", show_default=False)],
    root: Root = None,
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
            _load(overrides, root, [name] if name else [])
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
    root: Root = None,
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
    configs = [_load([], root, [name]).config for name in words] + [load().config] * (2 - len(words))
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
    if len(names) > 1:
        raise ConfigError(f"`{names[-1]}` is no name of a configuration", hint="one file is written; it ends in .yaml")
    text = starting_file(load_config([], [word for word in words or [] if _is_override(word)]), str(path))
    write_new(path, text)
    if as_json:
        print_json("config init", {"file": str(path)})
    else:
        print(f"{path}: edit it, then: gymjax train --config {shlex.quote(str(path))}")


def write_new(path: Path, text: str) -> None:
    """Write a configuration where none is. Raises ConfigError."""
    import shlex

    from gym_jax.errors import ConfigError

    if path.suffix != ".yaml":
        raise ConfigError(f"`{path}` is no name of a configuration", hint="one file is written; it ends in .yaml")
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        name = shlex.quote(str(path))
        raise ConfigError(
            f"`{path}` exists already", hint="nothing is overwritten", attempt=f"gymjax config validate {name}"
        ) from error


def schema(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; default stdout.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of a configuration file, by which editors complete and check it."""
    import json

    from gym_jax.cli.show import print_json
    from gym_jax.config.document import json_schema

    if out is not None:
        out.write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8", newline="\n")
    if as_json:
        print_json("config schema", {"file": str(out)} if out else {"json_schema": json_schema()})
    elif out is None:
        print(json.dumps(json_schema(), indent=1))
    else:
        print(f"begin a configuration with: # yaml-language-server: $schema={out}")


def _is_override(word: str) -> bool:
    """Return whether a word is a setting; the path of a file or run may hold a `=` too."""
    return word.startswith("~") or ("=" in word and not Path(word).expanduser().exists())


def _is_key(word: str) -> bool:
    from gym_jax.config.keys import find_key, sections

    return tuple(word.split(".")) in sections() or find_key(word) is not None


def _load(words: list[str], root: str | None, files: list[str]) -> Any:
    """Return what files and words make. A run is shown as it is: no environment."""
    import os

    from gym_jax.config.load import load

    names = [*files, *(word for word in words if not _is_override(word))]
    found = [_file(name, root) for name in names]
    overrides = [word for word in words if _is_override(word)]
    return load([name for name, _ in found], overrides, environ={} if any(run for _, run in found) else os.environ)


def _file(name: str, root: str | None) -> tuple[str, bool]:
    """Return what `load` finds by a word, and whether it is of a run: a folder, a name under the root, its file."""
    from gym_jax.config.compose import find_config
    from gym_jax.errors import CheckpointError, ConfigError
    from gym_jax.run.folder import RunFolder
    from gym_jax.run.runs import is_made_here, open_run

    try:
        path = find_config(name)
    except ConfigError:
        try:
            path = open_run(name, root).path / "config.yaml"
        except CheckpointError:
            return name, False
        name = str(path)
    return name, path.name == "config.yaml" and is_made_here(RunFolder(path.parent))
