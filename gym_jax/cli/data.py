"""`gymjax data`: look at data, judge them, write them in another shape."""

from typing import Annotated, Any

import typer

from gym_jax.cli.options import AsJson, Configs, Context, Horizon, Overrides

FILE = Annotated[str, typer.Argument(help="File, folder or quoted glob.")]
TARGET = Annotated[list[str] | None, typer.Option(help="Column to forecast; may be repeated. Default: every number.")]
OUT = Annotated[str, typer.Option("--out", "-o", help="File to write: .parquet, .csv(.gz), .feather, .jsonl or .npz.")]


def check(
    file: FILE,
    overrides: Overrides = None,
    target: TARGET = None,
    config: Configs = None,
    context: Context = None,
    horizon: Horizon = None,
    as_json: AsJson = False,
) -> None:
    """Judge data as `gymjax train` does first: what was looked for, how often it was found, what becomes of it.

    Leaves with exit code 3 when training would refuse them.
    """
    from gym_jax.cli.show import print_json, print_table
    from gym_jax.run.check import check_data

    document, error = check_data(_settings(file, overrides, target, config, context, horizon))
    if as_json and error is None:
        print_json("data check", document)
    if not as_json:
        rows = [
            (f["policy"].replace("_", " "), f["count"], f"{f['total']:,} {f['what']}", f["choice"])
            for f in document["findings"]
        ]
        if rows:
            print_table(("looked for", "found", "of", "policy"), rows)
        for note in document["notes"]:
            print(f"note: {note}")
    if error is not None:
        raise error
    if not as_json:
        name = "windows" if "windows" in document else "cases"
        parts = document[name]
        print(f"ok: {parts['train']:,} train, {parts['val']:,} val and {parts['test']:,} test {name}")


def describe(file: FILE, overrides: Overrides = None, target: TARGET = None, as_json: AsJson = False) -> None:
    """Show what data hold: series, span, step, and every channel's distribution in its own units."""
    from gym_jax.cli.show import print_json, print_table
    from gym_jax.data.describe import describe_panel
    from gym_jax.run.assemble import load_panel

    facts = describe_panel(load_panel(_settings(file, overrides, target), every=True))
    if as_json:
        print_json("data describe", {"data": file, **facts})
        return
    channels, notes = facts.pop("channels"), facts.pop("notes")
    static, categories, season = facts.pop("static"), facts.pop("categories"), facts.pop("season")
    per_series = facts.pop("rows_per_series")
    facts["rows per series"] = f"{per_series['min']:,} to {per_series['max']:,}, median {per_series['median']:,.0f}"
    if season:
        facts["season"] = (
            f"{season['steps']:,} steps: autocorrelation {season['median_autocorrelation']:.2f} (median over series), "
            f"above 0.5 in {season['share_above_0.5']:.0%} of them"
        )
    print_table(("what", "value"), list(facts.items()))
    columns = ("name", "role", "missing", "zero", "min", "mean", "median", "p95", "max")
    print()
    print_table(columns, [[_share(c, name) for name in columns] for c in channels])
    if static:
        print()
        print_table(
            ("static", "missing", "min", "max"), [[s.get(k) for k in ("name", "missing", "min", "max")] for s in static]
        )
    if categories:
        print()
        shown = [
            (c["name"], c["words"], ", ".join(f"{w or '(missing)'} ({n:,})" for w, n in c["most_common"].items()))
            for c in categories
        ]
        print_table(("category", "words", "most common"), shown)
    for note in notes:
        print(f"note: {note}")


def convert(
    file: FILE,
    out: Annotated[str, typer.Option("--out", "-o", help="File to write, by its ending; or a new folder of Parquet.")],
    overrides: Overrides = None,
    target: TARGET = None,
    as_json: AsJson = False,
) -> None:
    """Write data as one long table of id, time and columns, judged and in the units asked for.

    Into a folder (a name without an ending, or an address such as s3://bucket/cpu) they are written sorted by series
    and time, in files that training can read in portions; the data need not fit in memory then.
    """
    settings = _settings(file, overrides, target)
    if not _is_folder(out):
        _write("data convert", file, out, settings, as_json)
        return
    from gym_jax.cli.show import print_json
    from gym_jax.data.convert import MEMORY, convert

    written = convert(file, out, settings.data, memory=MEMORY, every=True)
    if as_json:
        print_json("data convert", {"data": file, "out": written.path, **written._asdict()})
        return
    for note in written.notes:
        print(f"note: {note}")
    files = f"{written.files:,} file{'s' if written.files > 1 else ''}"
    print(f"{written.rows:,} rows of {written.series:,} series at {written.step} in {files} of {written.path}")


def resample(
    file: FILE,
    out: OUT,
    step: Annotated[str, typer.Option(help="Such as 5min, 1h or 1d.")],
    overrides: Overrides = None,
    aggregate: Annotated[str, typer.Option(help="mean, max, min, sum, last or p95 of the rows in a step.")] = "mean",
    target: TARGET = None,
    as_json: AsJson = False,
) -> None:
    """Bring rows at any times to a regular step, named after its beginning, and write them."""
    options: dict[str, Any] = {"data.resample.step": step, "data.resample.aggregate": aggregate}
    _write("data resample", file, out, _settings(file, overrides, target, **options), as_json)


def _is_folder(out: str) -> bool:
    """Return whether a name to write to is a folder's: it has no ending, or is an address."""
    return out.endswith("/") or "://" in out or "." not in out.rpartition("/")[2].lstrip(".")


def _settings(
    file: str,
    overrides: list[str] | None,
    target: list[str] | None,
    config: list[str] | None = None,
    context: int | None = None,
    horizon: int | None = None,
    **options: Any,
) -> Any:
    from gym_jax.config.load import load_config

    options |= {"data.path": file, "data.target": target or None, "task.context": context, "task.horizon": horizon}
    given = {key: value for key, value in options.items() if value is not None}
    return load_config(config or [], overrides or [], given)


def _write(command: str, file: str, out: str, settings: Any, as_json: bool) -> None:
    from gym_jax.cli.show import print_json
    from gym_jax.data.write import panel_frame, refuse_out, write_frame
    from gym_jax.run.assemble import load_panel

    refuse_out(out, file)
    panel = load_panel(settings, every=True)
    frame = panel_frame(panel)
    path = write_frame(frame, out)
    if as_json:
        facts = {
            "rows": len(frame),
            "series": len(panel.series),
            "columns": list(frame.columns),
            "notes": list(panel.notes),
        }
        print_json(command, {"data": file, "out": str(path), **facts})
        return
    for note in panel.notes:
        print(f"note: {note}")
    print(f"{len(frame):,} rows of {len(panel.series):,} series at {panel.describe_step()} in {path}")


def _share(channel: dict[str, Any], name: str) -> Any:
    value = channel.get(name)
    return f"{value:.1%}" if name in ("missing", "zero") and value is not None else value
