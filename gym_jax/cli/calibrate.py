"""`gymjax calibrate`: intervals that hold as often as they say."""

from typing import Annotated, Literal

import typer

from gym_jax.cli.options import AsJson, CompileCache, Platform, Root, Run


def calibrate(
    ctx: typer.Context,
    run: Run,
    method: Annotated[
        Literal["adaptive", "series", "global"],
        typer.Option(help="Follow what comes, or hold still: each series for itself, or all alike."),
    ] = "adaptive",
    levels: Annotated[
        str, typer.Option(help="How often the intervals are to hold, with commas.")
    ] = "0.8,0.9,0.95,0.99",
    part: Annotated[Literal["val", "train"], typer.Option(help="Which part to calibrate on.")] = "val",
    compare: Annotated[
        bool, typer.Option("--compare", help="Judge the other methods and the baselines beside it.")
    ] = False,
    root: Root = None,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Fit conformal intervals around a run's forecasts, keep them with it, and judge them on the test part.

    From then on `predict` has columns such as cpu_lo80 and cpu_hi80, and `evaluate` says how often they held.
    """
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_intervals, print_json, weights_line
    from gym_jax.cli.telling import telling
    from gym_jax.run.calibrate import calibrate_run
    from gym_jax.run.runs import open_run

    choose_platform(platform, compile_cache)
    folder, wanted = open_run(run, root), parse_levels(levels)
    with telling(ctx.obj) as tell:
        tell("forecasting")
        found = calibrate_run(folder, method=method, levels=wanted, part=part, compare=compare)
    if as_json:
        print_json("calibrate", found)
        return
    print_intervals(found["intervals"])
    print(f"\ncalibrated on the {part} part, judged on the test part; kept in {found['run']}/calibration.json")
    if found["step"] is not None:
        print(weights_line(found["step"], found["weights"]))


def parse_levels(text: str) -> list[float]:
    """Return levels out of `0.8,0.95` or `80,95`. Raises ConfigError."""
    from gym_jax.errors import ConfigError

    try:
        numbers = [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise ConfigError(
            f"--levels {text} holds something that is no number",
            hint="name how often the intervals are to hold, with commas between",
            attempt="gymjax calibrate RUN --levels 0.8,0.95",
            code="usage",
        ) from None
    return [number / 100 if 1 < number < 100 else number for number in numbers]
