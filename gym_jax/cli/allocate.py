"""`gymjax allocate`: which policy is right for these workloads, and what each of them should get."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gym_jax.cli.options import AsJson, Overrides, Platform, Root
from gym_jax.cli.parts import Memory, OnError, answer_into_folder, is_folder, print_manifest, refuse_folder_options

Data = Annotated[str, typer.Argument(help="File, folder or quoted glob of usage.")]
Target = Annotated[str | None, typer.Option(help="Column that holds what was used.", show_default="the only number")]
Resource = Annotated[Literal["cpu", "memory", "disk"], typer.Option(help="What is allocated.")]
Every = Annotated[Literal["hour", "day"], typer.Option(help="How long a decision holds.")]
Risk = Annotated[
    list[str] | None,
    typer.Option(help="Share of the time in violation to compare at; may be repeated.", show_default="5%, 1%, 0.1%"),
]
Days = Annotated[float, typer.Option(help="Days before it on which margins are tuned.", min=0.1)]
Most = Annotated[
    str | None, typer.Option(help="Highest chance of a violation that the learned policy may give one decision: 5%.")
]
SEED = Annotated[int, typer.Option(help="Of the learned policy.", min=0)]
TRAIN = "gymjax allocate train DATA"
EPOCHS = Annotated[int, typer.Option(help="Passes over the history, at most.", min=1)]


def simulate(
    ctx: typer.Context,
    data: Data,
    overrides: Overrides = None,
    target: Target = None,
    request: Annotated[str | None, typer.Option(help="Column that holds what was given.")] = None,
    resource: Resource = "cpu",
    every: Every = "hour",
    test_days: Annotated[float, typer.Option(help="Days at the end on which policies are judged.", min=0.1)] = 7.0,
    val_days: Days = 7.0,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", help="vpa, max:days=7, percentile:share=0.95 ...; may be repeated."),
    ] = None,
    without_learned: Annotated[bool, typer.Option("--without-learned", help="Leave the learned policy out.")] = False,
    run: Annotated[str | None, typer.Option(help="A learned allocation to use instead of learning one.")] = None,
    unseen: Annotated[
        int,
        typer.Option(help="Judge workloads in so many groups by what the others taught; 0: own history too.", min=0),
    ] = 0,
    risk: Risk = None,
    most: Most = None,
    price: Annotated[float | None, typer.Option(help="Money for a core-hour, or a GiB-hour.", min=0)] = None,
    cold_start: Annotated[bool, typer.Option("--cold-start", help="Also with 1 h to 7 d of history.")] = False,
    chart: Annotated[str | None, typer.Option(help="Draw the frontier into this file: .png, .svg, .pdf.")] = None,
    worst_chart: Annotated[str | None, typer.Option(help="Draw the five worst workloads into this file.")] = None,
    seed: SEED = 0,
    epochs: EPOCHS = 40,
    root: Root = None,
    platform: Platform = None,
    as_json: AsJson = False,
) -> None:
    """Walk forward through the data with every policy and compare them at equal violation.

    Each decision sees only what was before it; the learned policy learns before the test. Only charts are written.
    """
    from gym_jax.cli.allocate_show import print_simulation
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json
    from gym_jax.cli.telling import telling
    from gym_jax.metrics import plain
    from gym_jax.train.parallel import request_cpu_devices

    choose_platform(platform, None)
    request_cpu_devices("auto")
    from gym_jax.allocate.frontier import RISKS
    from gym_jax.allocate.learned import Recipe
    from gym_jax.allocate.protocol import Protocol
    from gym_jax.report.picture import refuse_chart
    from gym_jax.run.allocate import SMALL, Question, read_workloads, simulate_data
    from gym_jax.run.allocate_chart import draw_frontier, draw_worst
    from gym_jax.run.allocation import find_allocation, load_allocation

    refuse_chart("--chart", chart)
    refuse_chart("--worst-chart", worst_chart)
    risks = tuple(sorted({_risk(word) for word in risk}, reverse=True)) if risk else RISKS
    protocol = Protocol(24 if every == "day" else 1, test_days, val_days, risks, SMALL[resource], _most(most))
    question = Question(
        protocol,
        tuple(policy or ()),
        learned=not without_learned,
        unseen=unseen,
        recipe=Recipe(seed=seed, epochs=epochs),
        price=price,
        cold_start=cold_start,
    )
    kept = None if run is None else load_allocation(find_allocation(run, root)).learned
    with telling(ctx.obj) as tell:
        read = read_workloads(_settings(data, overrides, target), resource=resource, request=request)
        answer = simulate_data(read, question, learned=kept, watch=tell)
    document = {"data": data, **answer.document}
    document["chart"] = document["worst_chart"] = None
    if chart:
        title = f"{read.channel}: {document['workloads']} workloads, decided every {every}, {test_days:g} days"
        document["chart"] = str(draw_frontier(answer.simulation, chart, title=title))
    if worst_chart:
        at = risks[min(1, len(risks) - 1)]
        best = document.get("best", next(iter(answer.simulation.test)))
        names = [one["name"] for one in document["worst"][f"{at:g}"]]
        document["worst_chart"] = str(
            draw_worst(answer.simulation, names, worst_chart, policy=best, risk=at, unit=read.unit)
        )
    if as_json:
        print_json("allocate simulate", _plain(document, plain))
    else:
        print_simulation(document)


def train(
    ctx: typer.Context,
    data: Data,
    overrides: Overrides = None,
    target: Target = None,
    resource: Resource = "cpu",
    every: Every = "hour",
    val_days: Days = 14.0,
    risk: Risk = None,
    most: Most = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.", show_default="time and two words")] = None,
    seed: SEED = 0,
    epochs: EPOCHS = 40,
    root: Root = None,
    platform: Platform = None,
    as_json: AsJson = False,
) -> None:
    """Learn an allocation from all of the data and keep it, for `gymjax allocate recommend`."""
    from gym_jax.cli.allocate_show import print_trained
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json
    from gym_jax.cli.telling import telling
    from gym_jax.train.parallel import request_cpu_devices

    choose_platform(platform, None)
    request_cpu_devices("auto")
    from gym_jax.allocate.learned import Recipe
    from gym_jax.allocate.protocol import Protocol
    from gym_jax.run.allocate import SMALL
    from gym_jax.run.allocation import train_allocation
    from gym_jax.run.runs import ROOT, free_path

    free_path(root or ROOT, name=name)
    risks, cap = tuple(_risk(word, command=TRAIN) for word in risk or ()), _most(most, TRAIN)
    protocol = Protocol(24 if every == "day" else 1, 0.0, val_days, risks, SMALL[resource], cap)
    with telling(ctx.obj) as tell:
        folder, facts = train_allocation(
            _settings(data, overrides, target),
            resource=resource,
            protocol=protocol,
            recipe=Recipe(seed=seed, epochs=epochs),
            name=name,
            root=root or ROOT,
            watch=tell,
        )
    short = {key: facts[key] for key in ("resource", "column", "unit", "workloads", "days", "prices", "notes")}
    if as_json:
        print_json("allocate train", {"run": str(folder.path), **short})
    else:
        print_trained(str(folder.path), short)


def recommend(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="Folder or name of a learned allocation, or latest.")],
    overrides: Overrides = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="Usage up to now.", show_default="as trained")
    ] = None,
    target: Target = None,
    risk: Annotated[str, typer.Option(help="Share of the time in violation to stand for.")] = "1%",
    format: Annotated[
        Literal["table", "json", "csv", "patch", "vpa"],
        typer.Option(help="patch and vpa are YAML for Kubernetes."),
    ] = "table",
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="File to write instead of printing; or a folder, for very many workloads."),
    ] = None,
    memory: Memory = None,
    on_error: OnError = "skip",
    no_limits: Annotated[bool, typer.Option("--no-limits", help="Requests alone.")] = False,
    least: Annotated[str | None, typer.Option("--min", help="Smallest request, such as 25m or 250Mi.")] = None,
    kind: Annotated[
        Literal["Deployment", "StatefulSet", "DaemonSet"], typer.Option(help="Of the workloads, in YAML.")
    ] = "Deployment",
    root: Root = None,
    platform: Platform = None,
    as_json: AsJson = False,
) -> None:
    """Say what every workload should get from now on: request, limit, and why.

    Into a folder, Parquet files are read, answered and written a portion of whole workloads at a time. Interrupted, the
    same command goes on after the last whole part.
    """
    from gym_jax.cli.allocate_show import print_recommendations, print_written, write_recommendations
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json

    choose_platform(platform, None)
    from gym_jax.data.write import refuse_source
    from gym_jax.run.allocation import find_allocation, recommend_run

    folder = find_allocation(run, root)
    facts = folder.read_json("allocation.json")
    config = _settings(data or str(facts.get("data")), overrides, target or facts.get("column"), facts.get("reading"))
    asked: dict[str, Any] = {"risk": _risk(risk, command="gymjax allocate recommend RUN"), "limits": not no_limits}
    asked["least"] = _least(least, facts.get("resource", "cpu"))
    if is_folder(out) if format == "table" else out is not None and Path(out).is_dir():
        from gym_jax.run.recommend_into import recommend_into

        _refuse_format(format)
        manifest, rate = answer_into_folder(
            ctx.obj, partial(recommend_into, folder, config, str(out), **asked), memory, on_error
        )
        print_manifest("allocate recommend", {"run": str(folder.path)}, manifest, rate, as_json)
        return
    refuse_folder_options(memory, on_error, "allocate recommend")
    if out:
        refuse_source(out, config.data.path)
    found, kept, _ = recommend_run(folder, config, **asked)
    facts = {"run": str(folder.path), "data": config.data.path, "risk": asked["risk"], "kind": kind}
    if not out:
        print_recommendations(found, kept, "json" if as_json else format, facts)
        return
    wanted = "json" if as_json and format == "table" else format
    path = write_recommendations(found, kept, out, wanted, facts)
    if as_json:
        print_json("allocate recommend", {**facts, "out": str(path), "workloads": len(found)})
    else:
        print_written(path, found, wanted, asked["risk"])


def _refuse_format(format: str) -> None:
    from gym_jax.errors import ConfigError

    if format != "table":
        raise ConfigError(
            f"a folder holds tables in Parquet, no {format}",
            hint="name a file for it",
            attempt=f"gymjax allocate recommend RUN --format {format} --out FILE",
            code="usage",
        )


def _settings(data: str, overrides: list[str] | None, target: str | None, reading: dict[str, Any] | None = None) -> Any:
    """Return the configuration; `reading` is how data were read before, and what is typed goes before it."""
    from gym_jax.config.load import load_config

    given = {**(reading or {}), "data.path": data, **({"data.target": [target]} if target else {})}
    return load_config([], overrides or [], given)


def _risk(word: str, option: str = "--risk", command: str = "gymjax allocate simulate DATA") -> float:
    """Return a share of `1%` or `0.01`. Raises ConfigError."""
    from gym_jax.errors import ConfigError

    try:
        value = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 0.5:
        raise ConfigError(
            f"`{word}` is no risk",
            hint="a share of the time, such as 1% or 0.01",
            attempt=f"{command} {option} 1%",
            code="usage",
        )
    return value


def _most(word: str | None, command: str = "gymjax allocate simulate DATA") -> float:
    return 1.0 if word is None else _risk(word, "--most", command)


def _least(word: str | None, resource: str) -> float | None:
    from gym_jax.data.units import read_quantities

    if word is None:
        return None
    values, _ = read_quantities([word], "cores" if resource == "cpu" else "bytes", "--min", "the command line")
    return float(values[0])


def _plain(value: Any, plain: Any) -> Any:
    """Return a document in which every number is JSON's."""
    if isinstance(value, dict):
        return {str(key): _plain(item, plain) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, plain) for item in value]
    return plain(value)
