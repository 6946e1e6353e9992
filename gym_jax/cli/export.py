"""`gymjax export`: a run's weights as plain files."""

from typing import Annotated

import typer

from gym_jax.cli.options import AsJson, Root, Run


def export(
    run: Run,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder to make.")],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write the weights that judge and forecast as NumPy arrays, with a manifest: what they are and what they need."""
    import math

    from gym_jax.cli.show import print_json, size, weights_line
    from gym_jax.run.export import export_run
    from gym_jax.run.runs import open_run

    manifest = export_run(open_run(run, root), out)
    if as_json:
        print_json(
            "export", {"out": out, "manifest": {k: v for k, v in manifest.items() if k not in ("config", "data")}}
        )
        return
    numbers = sum(math.prod(array["shape"]) for array in manifest["arrays"].values())
    print(f"{out}: {len(manifest['arrays'])} arrays, {numbers:,} numbers, {size(4 * numbers)}")
    print(weights_line(manifest["step"], manifest["weights"], [manifest["seed"]] if "seed" in manifest else ()))
