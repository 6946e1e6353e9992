"""`gymjax generate`: a CPU-allocation panel or table to try things on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gym_jax.cli.candidates import complete_dataset
from gym_jax.cli.options import AsJson


def generate(
    settings: Annotated[
        list[str] | None, typer.Argument(help="Settings of the kind as key=value, such as days=7.", show_default=False)
    ] = None,
    *,
    out: Annotated[
        str, typer.Option("--out", "-o", help="File to write, in the format of its ending: .parquet, .csv.gz ...")
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="panel: machines over time; table: workloads and the CPU share to allocate; or a plug-in's.",
            autocompletion=complete_dataset,
        ),
    ] = "panel",
    series: Annotated[
        int | None, typer.Option(help="Machines of a panel.", min=1, max=100_000, show_default="16")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="Days of 5-minute steps in a panel.", min=0.1, max=3660, show_default="14")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Rows of a table.", min=1, max=100_000_000, show_default="5000")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = 0,
    gaps: Annotated[
        float | None,
        typer.Option(help="Share of a panel's rows that is missing.", min=0, max=0.5, show_default="0.01"),
    ] = None,
    truth: Annotated[bool, typer.Option("--truth", help="Add mean and sd of the target, before clipping.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write generated data: a panel of machines by unique_id and ds (CPU, memory, disk), or a table of workloads."""
    from inspect import signature

    from gym_jax.cli.show import print_json
    from gym_jax.data.datasets import DATASETS
    from gym_jax.data.write import write_frame
    from gym_jax.errors import ConfigError

    given: dict[str, Any] = {"series": series, "days": days, "gaps": gaps, "rows": rows}
    chosen = {name: value for name, value in given.items() if value is not None}
    if kind not in DATASETS and DATASETS.plugin(kind) is None:
        raise ConfigError(
            f"--kind {kind} is not known", hint=DATASETS.unknown(kind), attempt=f"gymjax generate --out {out}"
        )
    takes = {name: signature(DATASETS[name]).parameters for name in dict.fromkeys([*DATASETS, kind])}
    if wrong := [name for name in chosen if name not in takes[kind]]:
        other = next(name for name in DATASETS if wrong[0] in takes[name])
        known = [f"--{name}" for name in (*given, "seed", "truth") if name in takes[kind]]
        raise ConfigError(
            f"--{wrong[0]} belongs to --kind {other}, this is a {kind}",
            hint=f"a {kind} takes {', '.join(known)}",
            attempt=f"gymjax generate --kind {other} --out {out} --{wrong[0]} {chosen[wrong[0]]}",
        )
    if "truth" in takes[kind]:
        chosen["truth"] = truth
    elif truth:
        raise ConfigError(f"a {kind} has no --truth", hint="leave it out", code="usage")
    chosen |= _settings(kind, DATASETS[kind], settings or ())
    frame = DATASETS[kind](seed=seed, **chosen)
    _refuse_foreign(Path(out), set(frame.columns))
    path = write_frame(frame, out)
    counts = {"rows": len(frame), **({"series": frame["unique_id"].nunique()} if "unique_id" in frame else {})}
    if as_json:
        print_json("generate", {"out": str(path), **counts})
    elif "series" in counts:
        print(f"{counts['rows']:,} rows of {counts['series']:,} machines in {path}")
    else:
        print(f"{counts['rows']:,} rows in {path}")


def _refuse_foreign(path: Path, columns: set[str]) -> None:
    """Raise ConfigError when the file is there and was not generated: its columns are others."""
    from gym_jax.data.formats import FORMATS, open_table, suffix_of
    from gym_jax.data.reading import Reading
    from gym_jax.errors import ConfigError, GymJaxError

    if not path.is_file() or not path.stat().st_size or suffix_of(path) not in FORMATS:
        return
    try:
        other = columns ^ set(open_table(path, Reading()).kinds)
    except GymJaxError:
        other = {path.name}
    if any(not name.endswith(("_mean", "_sd")) for name in other):  # those are the truth
        raise ConfigError(
            f"`{path.name}` is there, and was not generated",
            hint="its columns are others; nothing of yours is overwritten",
            attempt=f"gymjax generate --out generated{suffix_of(path)}",
            code="config.exists",
        )


def _settings(kind: str, make: Any, words: Sequence[str]) -> dict[str, Any]:
    """Return the `key=value` settings of generated data, judged by their types."""
    from pydantic import ValidationError

    from gym_jax.config.derive import schema_of
    from gym_jax.errors import ConfigError, did_you_mean

    if not words:
        return {}
    schema = schema_of(kind, make)
    own = [name for name in schema.model_fields if name not in ("kind", "seed", "truth")]
    pairs = {key: value for key, _, value in (word.partition("=") for word in words)}
    attempt = f"gymjax generate --kind {kind} --out FILE " + " ".join(f"{name}=..." for name in own[:1])
    if wrong := [key for key in pairs if key not in own]:
        hint = did_you_mean(wrong[0], own) if own else "it has none but --seed"
        raise ConfigError(f"a {kind} has no setting `{wrong[0]}`", hint=hint, attempt=attempt.strip(), code="usage")
    try:
        judged = schema.model_validate(pairs)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        said = f"`{name}={pairs.get(name, '')}` is not possible: {first['msg'].lower()}"
        raise ConfigError(said, hint=f"it is a setting of {kind}", attempt=attempt, code="usage") from error
    return {name: getattr(judged, name) for name in pairs}
