"""What commands share that answer into a folder of parts: options, progress, signals, what is said at the end."""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from gym_jax.inference.scoring import Watched

Memory = Annotated[
    str | None,
    typer.Option(help="Of a folder: what its portions may take, beside the process itself.", show_default="512MB"),
]
OnError = Annotated[
    Literal["skip", "stop"],
    typer.Option("--on-error", help="Of a folder: put series aside that can not be answered, or end with the first."),
]


def is_folder(out: str | None) -> bool:
    """Return whether a name means a folder of parts: it is one, or it has no ending."""
    return out is not None and (out.endswith("/") or Path(out).is_dir() or not Path(out).suffix)


def refuse_folder_options(memory: str | None, on_error: str, command: str) -> None:
    """Raise ConfigError when options of a folder are given without one."""
    from gym_jax.errors import ConfigError

    if memory is not None or on_error != "skip":
        raise ConfigError(
            f"{'--memory' if memory is not None else '--on-error'} is for answers into a folder",
            hint="a folder is a name without an ending: its files are written a portion at a time",
            attempt=f"gymjax {command} ... --out FOLDER",
            code="usage",
        )


def answer_into_folder(
    output: Any, score: Callable[..., Mapping[str, Any]], memory: str | None, on_error: str
) -> tuple[Mapping[str, Any], float | None]:
    """Run a job with progress on stderr and return its manifest, and how many series a second it answered.

    Ctrl-C and SIGTERM end it after the part that is being made. Raises what `score_data` does.
    """
    from gym_jax.cli.parse import parse_bytes
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.cli.telling import telling
    from gym_jax.errors import Interrupted

    how: dict[str, Any] = {} if memory is None else {"memory": parse_bytes(memory, "--memory")}
    rate: list[float] = []
    try:
        with telling(output) as tell, stop_on_signals() as stop:

            def watch(seen: "Watched") -> None:
                rate[:] = [seen.per_second]
                tell(progress_line(seen))

            return score(on_error=on_error, watch=watch, stop=stop, **how), (rate or [None])[0]  # type: ignore[list-item]
    except Interrupted as error:
        error.attempt = shlex.join(["gymjax", *sys.argv[1:]])
        raise


def progress_line(seen: "Watched") -> str:
    """Return how far a job is, in one line."""
    left = (seen.of_series - seen.series) / max(seen.per_second, 1e-9)
    aside = f", {seen.unanswered:,} not answered" if seen.unanswered else ""
    return (
        f"answering: part {seen.parts:,} of {seen.of_parts:,}, {seen.series:,} of {seen.of_series:,} series{aside}, "
        f"{seen.per_second:,.0f}/s, {left:,.0f} s to go"
    )


def print_manifest(
    command: str, facts: Mapping[str, Any], manifest: Mapping[str, Any], rate: float | None, as_json: bool
) -> None:
    """Print what lies in the folder, and what was not answered; as JSON with the number of parts in their place."""
    count = len(manifest["parts"])
    if as_json:
        from gym_jax.cli.show import print_json

        print_json(command, {**facts, **manifest, "parts": count, "series_per_second": rate})
        return
    speed = "all of it was there already" if rate is None else f"{rate:,.0f} series/s"
    answered = manifest["series"] - manifest["unanswered"]
    print(
        f"{answered:,} of {manifest['series']:,} series answered: {manifest['rows']:,} rows in {count:,} "
        f"part{'' if count == 1 else 's'}, {manifest['out']} ({speed})"
    )
    if manifest["unanswered"]:
        codes = ", ".join(f"{count:,} {code}" for code, count in manifest["codes"].items())
        print(f"not answered: {codes}; each with its reason in {manifest['out']}/_unanswered")
    for note in manifest.get("notes", ()):
        print(f"note: {note}")
