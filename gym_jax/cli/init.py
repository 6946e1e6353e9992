"""`gymjax init`: a configuration to begin with, out of a look at the data."""

from pathlib import Path
from typing import Annotated

import typer

from gym_jax.cli.options import AsJson, Overrides


def init(
    file: Annotated[str, typer.Argument(help="File, folder or quoted glob.")],
    overrides: Overrides = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Column to forecast; may be repeated.", show_default="found by its name")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Configuration to write.")] = Path("gymjax.yaml"),
    as_json: AsJson = False,
) -> None:
    """Look at data and write a configuration for them, every setting explained, with the reason for what was chosen.

    Nothing is overwritten. What you say with key=value stays as you say it.
    """
    import shlex

    from gym_jax.cli.config import write_new
    from gym_jax.cli.show import print_json, print_table
    from gym_jax.config.document import flat, starting_file
    from gym_jax.config.plain import inline
    from gym_jax.run.begin import look_and_choose

    found = look_and_choose(file, target or (), overrides or ())
    values = {key: value for key, value in flat(found.config.document()).items() if key in found.reasons}
    seen = [f"# {key}: {why}" for key, why in found.reasons.items()] + [f"# note: {note}" for note in found.notes]
    head = "\n".join(["# Chosen by what the data are:", *seen, "", ""])
    write_new(out, head + starting_file(found.config, str(out)))
    if as_json:
        document = {"file": str(out), "chosen": values, "reasons": found.reasons, "notes": list(found.notes)}
        print_json("init", document)
        return
    rows = [(key, inline(values[key]), why) for key, why in found.reasons.items()]
    print_table(("chosen", "value", "because"), rows)
    for note in found.notes:
        print(f"note: {note}")
    print(f"\n{out}: gymjax train --config {shlex.quote(str(out))}")
