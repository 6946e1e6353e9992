"""`gymjax export`: a run as a model that answers without JAX."""

from typing import Annotated

import typer

from gym_jax.cli.options import AsJson, Root, Run


def export(
    run: Run,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder to make.")],
    onnx: Annotated[
        bool | None,
        typer.Option("--onnx/--no-onnx", help="Add the network as a graph [default: where the extra is installed]."),
    ] = None,
    jax: Annotated[
        bool, typer.Option("--jax", help="Add it as jax.export writes it: for a JAX up to six months newer.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write the model that judges and forecasts as plain files that `gym_jax.inference` loads with NumPy alone.

    They are tried on 1,000 windows of the run's own data first: what differs from JAX is not written.
    """
    import math

    from gym_jax.cli.show import print_json, size, weights_line
    from gym_jax.run.export import export_run
    from gym_jax.run.runs import open_run

    manifest = export_run(open_run(run, root), out, onnx=onnx, blob=jax)
    if as_json:
        shown = {k: v for k, v in manifest.items() if k not in ("config", "spec", "golden")}
        print_json("export", {"out": out, "manifest": shown})
        return
    numbers = sum(math.prod(array["shape"]) for array in manifest["arrays"].values())
    total = sum(file["bytes"] for file in manifest["files"].values())
    print(f"{out}: {', '.join(manifest['files'])}; {numbers:,} parameters, {size(total)}")
    tried = manifest["tried"]
    said = " and ".join(f"{way} by {far:.0e}" for way, far in tried["largest difference"].items())
    whose = "made-up windows" if tried["of"] == "made-up windows" else f"windows of its {tried['of']}"
    print(f"tried on {tried['windows']:,} {whose}: {said} off JAX at most, in scaled units")
    if blob := manifest.get("jax_export"):
        until = f" (built until {blob['until']})" if blob["until"] else ""
        print(f"model.jaxexport is read by JAX {blob['jax']} and those up to six months newer{until}")
    for note in manifest["notes"]:
        print(f"note: {note}")
    print(weights_line(manifest["step"], manifest["weights"], [manifest["seed"]] if "seed" in manifest else ()))
