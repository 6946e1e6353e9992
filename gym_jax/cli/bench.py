"""`gymjax bench`: how fast models train on this machine, beside each other and their peers."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from gym_jax.cli.candidates import complete_kind
from gym_jax.cli.options import AsJson, Context, Horizon, Overrides, Target

MODELS = ("mlp", "lstm", "transformer")
AXES = {
    "model": "--model",
    "model.kind": "--model",
    "train.batch_size": "--batch-size",
    "train.placement": "--placement",
    "train.compile": "--compile",
    "train.compute_dtype": "--dtype",
}
"""Settings that are compared, and their options."""


def bench(
    ctx: typer.Context,
    overrides: Overrides = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Model kind; may be repeated.",
            show_default=", ".join(MODELS),
            autocompletion=complete_kind,
        ),
    ] = None,
    placement: Annotated[
        list[str] | None,
        typer.Option(
            help="one, cores, shard or pmap; may be repeated.",
            show_default="one, and cores or shard where there are several",
            autocompletion=lambda: ["one", "cores", "shard", "pmap"],
        ),
    ] = None,
    batch_size: Annotated[
        list[int] | None, typer.Option(help="Windows of a step; may be repeated.", show_default="64, 256")
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            help="float32 or bfloat16 products; may be repeated.",
            show_default="float32",
            autocompletion=lambda: ["float32", "bfloat16"],
        ),
    ] = None,
    compile: Annotated[
        list[str] | None,
        typer.Option(
            help="safe, fast or wide; may be repeated.",
            show_default="safe, fast on a CPU",
            autocompletion=lambda: ["safe", "fast", "wide"],
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="File, folder or glob; default a generated panel.")
    ] = None,
    target: Target = None,
    context: Context = None,
    horizon: Horizon = None,
    seconds: Annotated[float, typer.Option(help="How long each case is measured.")] = 1.0,
    peers: Annotated[
        str | None, typer.Option(help="Others to compare with: torch,torch-compile,keras (extra `bench`).")
    ] = None,
    chart: Annotated[str | None, typer.Option(help="Draw windows per second into this file: .png, .svg, .pdf.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Progress and table as plain lines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare how fast models train here: models x batch sizes x types x placements x ways to compile.

    Nothing is written but the chart. A setting of a model counts for the models that have it.
    """
    from gym_jax.cli.bench_show import is_terminal, show, telling
    from gym_jax.cli.show import print_json
    from gym_jax.errors import RunFailed
    from gym_jax.run.bench import bench, find_problems, raise_problems
    from gym_jax.run.bench_chart import draw_chart

    kinds = list(dict.fromkeys(model or MODELS))
    others = [word.strip() for word in peers.split(",") if word.strip()] if peers else []
    sizes, types = batch_size or (64, 256), dtype or ("float32",)
    given = {"data.path": data, "data.target": target, "task.context": context, "task.horizon": horizon}
    words = {"model": kinds, "placement": placement or (), "dtype": types, "compile": compile or (), "peers": others}
    problems = find_problems(words, batch_sizes=sizes, seconds=seconds, chart=chart)
    configs, wrong = _configs(kinds, overrides or [], {key: value for key, value in given.items() if value})
    raise_problems([*problems, *wrong])
    facts: dict[str, Any] = {}
    with telling(ctx.obj, plain) as tell:

        def watch(event: Any) -> None:
            if event.kind == "start":
                facts.update(event.facts)
            tell(event)

        rows = bench(
            configs,
            placements=placement,
            batch_sizes=sizes,
            dtypes=types,
            compiles=compile,
            peers=others,
            seconds=seconds,
            watch=watch,
        )
    if all(row.fault for row in rows):
        raise RunFailed(
            f"no case could be measured: {'; '.join(dict.fromkeys(str(row.fault) for row in rows))}",
            hint="ask for less: a smaller batch, a smaller model, another placement",
            attempt="gymjax bench --model mlp --batch-size 64 --placement one",
        )
    drawn = None if chart is None else str(draw_chart(rows, chart))
    for name in ("cases", "rounds"):
        facts.pop(name, None)
    if as_json:
        print_json("bench", {**facts, "seconds": seconds, "rows": [row._asdict() for row in rows], "chart": drawn})
        return
    show(rows, facts, rich=not plain and is_terminal())
    if drawn:
        print(f"chart: {drawn}")


def _configs(kinds: Sequence[str], overrides: Sequence[str], given: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the configuration of every known kind, and what is wrong with the overrides, each problem once."""
    from gym_jax.config.load import load_config
    from gym_jax.errors import ConfigError
    from gym_jax.models.registry import MODELS

    problems: list[ConfigError] = []
    rest = []
    for word in overrides:
        key = word.lstrip("+~").partition("=")[0]
        if key in AXES:
            option, value = AXES[key], word.partition("=")[2] or "..."
            problems.append(
                ConfigError(
                    f"{key} is what is compared",
                    hint=f"say it with {option}",
                    attempt=f"gymjax bench {option} {value}",
                    code="usage",
                )
            )
        else:
            rest.append(word)
    chosen = [kind for kind in kinds if kind in MODELS.names() and MODELS[kind].solve is None]
    configs = []
    for kind in chosen:
        own = [word for word in rest if _concerns(word, kind, chosen)]
        try:
            configs.append(load_config([], [f"model={kind}", *own], given))
        except ConfigError as error:
            problems += error.problems or (error,)  # type: ignore[arg-type]
    return configs, list({problem.message: problem for problem in problems}.values())


def _concerns(word: str, kind: str, kinds: Sequence[str]) -> bool:
    """Return whether an override is for this model: one of a model's own settings is for the kinds that have it."""
    from gym_jax.models.registry import MODELS

    section, _, name = word.lstrip("+~").partition("=")[0].partition(".")
    having = [other for other in kinds if name in MODELS[other].fields]
    return section != "model" or not having or kind in having
