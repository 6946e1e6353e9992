"""A report of finished or unfinished runs: one page that stands alone, or its pictures as files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gym_jax import __version__
from gym_jax.errors import ConfigError, StorageError
from gym_jax.files import whole_file
from gym_jax.report.page import Page, Section, Words, render
from gym_jax.report.picture import ENDINGS, refuse_place, save_figure
from gym_jax.run.allocation import allocation_at
from gym_jax.run.compare import name_runs, open_runs
from gym_jax.run.folder import RunFolder, now
from gym_jax.run.report_allocation import allocation_page
from gym_jax.run.report_compare import allocation_part, comparison_part
from gym_jax.run.report_parts import (
    data_part,
    environment_part,
    reproduce_part,
    scores_part,
    seeds_part,
    trained_part,
    training_part,
    verdicts,
)
from gym_jax.run.report_pictures import (
    added_part,
    errors_part,
    forecasts_part,
    importance_part,
    intervals_part,
    labels_part,
    refuse_plots,
    residuals_part,
)
from gym_jax.run.report_run import Asked, Reported, open_report

PARTS: dict[str, tuple[str, Callable[[Reported], list[Any]]]] = {
    "trained": ("What was trained on what", trained_part),
    "scores": ("Scores", scores_part),
    "comparison": ("Is it better than the baselines?", lambda run: comparison_part([run])),
    "training": ("Training", training_part),
    "seeds": ("Seeds", seeds_part),
    "forecasts": ("Forecasts", forecasts_part),
    "labels": ("Classes", labels_part),
    "errors": ("Where it fails", errors_part),
    "residuals": ("Residuals", residuals_part),
    "intervals": ("Intervals", intervals_part),
    "importance": ("What it looks at", importance_part),
    "added": ("Pictures of plug-ins", added_part),
    "allocation": ("Allocation", allocation_part),
    "data": ("Data", data_part),
    "environment": ("Environment", environment_part),
    "reproduce": ("How to make it again", reproduce_part),
}
"""The parts of a page about one run, in order, each with its heading; an empty one is left out."""
SHORT = ("scores", "seeds", "forecasts", "labels", "intervals", "added", "data", "environment", "reproduce")
"""What is shown of each of several runs, below their comparison and what each was trained on."""
SHORTEST = ("scores", "data", "environment", "reproduce")
"""The same of more than `FEW` runs: no pictures, so that the page stays small."""
FEW = 4


def report_runs(
    runs: Sequence[str | Path | RunFolder],
    *,
    html: str | Path | None = None,
    plots: str | Path | None = None,
    format: str = "png",
    dark: bool = False,
    root: str | Path | None = None,
    asked: Asked = Asked(),
    watch: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Write a page about runs, its pictures into a folder, or both; return what was written where.

    `dark` is of the pictures: the page has both. Raises ConfigError when nothing is asked for or a place can not be
    written, CheckpointError when a run is none, StorageError.
    """
    _refuse(html, plots, format)
    refuse_plots(asked.draw)
    page = make_page(runs, root=root, asked=asked)
    watch("drawing")
    learned = _allocation(runs, root)
    document: dict[str, Any] = {
        "runs": [str(folder.path) for folder in (open_runs(runs, root) if learned is None else [learned])],
        "parts": list(dict.fromkeys(section.part for section in page.sections)),
        "html": None,
        "bytes": None,
        "plots": [],
    }
    if plots is not None:
        document["plots"] = [str(path) for path in _write_plots(page, Path(plots).expanduser(), format, dark)]
    if html is not None:
        text = render(page)
        with whole_file(html) as (path, temporary):
            temporary.write_text(text, encoding="utf-8", newline="\n")
        document |= {"html": str(path), "bytes": path.stat().st_size}
    return document


def make_page(
    runs: Sequence[str | Path | RunFolder], *, root: str | Path | None = None, asked: Asked = Asked()
) -> Page:
    """Return the page about one run or several, or about one learned allocation; its pictures are not drawn yet."""
    if (learned := _allocation(runs, root)) is not None:
        return allocation_page(learned)
    folders = open_runs(runs, root)
    paths = [folder.path.resolve() for folder in folders]
    if twice := [folder for folder in folders if paths.count(folder.path.resolve()) > 1]:
        raise ConfigError(f"{twice[0].path.name} is named twice", hint="name each run once", code="usage")
    found = [open_report(folder, name, asked) for folder, name in zip(folders, name_runs(folders), strict=True)]
    lead = [
        Words(f"Written {now()} by gym_jax {__version__}."),
        *(words for run in found for words in verdicts(run, len(found) > 1)),
    ]
    if len(found) == 1:
        return Page(f"Report: {found[0].name}", lead, list(_sections(found[0], tuple(PARTS), 2)))
    sections = [Section("comparison", "Comparison", comparison_part(found))]
    for run in found:
        sections.append(Section("trained", f"Run: {run.name}", PARTS["trained"][1](run)))
        sections += _sections(run, SHORT if len(found) <= FEW else SHORTEST, 3)
    return Page(f"Report: {len(found)} runs", lead, sections)


def _allocation(runs: Sequence[str | Path | RunFolder], root: str | Path | None) -> RunFolder | None:
    """Return the learned allocation that alone is named, if it is one."""
    paths = [run.path if isinstance(run, RunFolder) else run for run in runs]
    found = [learned for path in paths if (learned := allocation_at(path, root)) is not None]
    if found and len(paths) > 1:
        raise ConfigError(
            f"{found[0].path.name} is a learned allocation: it has a page of its own",
            hint="runs are compared by their forecasts, policies by `gymjax allocate simulate`",
            attempt=f"gymjax report {found[0].path} --html allocation.html",
            code="usage",
        )
    return found[0] if found else None


def _sections(run: Reported, parts: Sequence[str], level: int) -> list[Section]:
    made = [(part, PARTS[part][0], PARTS[part][1](run)) for part in parts]
    return [Section(part, title, blocks, level) for part, title, blocks in made if blocks]


def _write_plots(page: Page, folder: Path, format: str, dark: bool) -> list[Path]:
    """Write every picture; a name that comes again gets a number."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder} can not be made: {error.strerror}", hint="does the folder above it exist?"
        ) from error
    out: list[Path] = []
    counts: dict[str, int] = {}
    for picture in page.pictures():
        counts[picture.name] = counts.get(picture.name, 0) + 1
        number = "" if counts[picture.name] == 1 else f"_{counts[picture.name]}"
        out.append(save_figure(picture.draw(dark=dark), folder / f"{picture.name}{number}.{format}"))
    return out


def _refuse(html: str | Path | None, plots: str | Path | None, format: str) -> None:
    if html is None and plots is None:
        raise ConfigError(
            "there is nothing to write",
            hint="a page, its pictures, or both",
            attempt="gymjax report RUN --html report.html",
            code="usage",
        )
    if html is not None:
        refuse_place("--html", str(html), (".html", ".htm"), "--html report.html")
    if f".{format}" not in ENDINGS:
        raise ConfigError(f"--format {format} is not drawn", hint="choose from png, svg, pdf", code="usage")
    if plots is not None and (
        Path(plots).expanduser().is_file() or not Path(plots).expanduser().absolute().parent.is_dir()
    ):
        raise ConfigError(
            f"--plots {plots} can not be a folder",
            hint="it is a folder, or one to be made in a folder that exists",
            attempt="gymjax report RUN --plots figures",
            code="usage",
        )
