"""`gymjax launch`: several processes of `gymjax train` on this machine, watched, and started again when one fails."""

import os
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gym_jax.cli.options import AsJson
from gym_jax.errors import ConfigError

if TYPE_CHECKING:
    from gym_jax.cli.progress import Watch
    from gym_jax.config.schema import Config
    from gym_jax.launch.supervise import Again
    from gym_jax.run.folder import RunFolder


def launch(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- train ...", help="The command that each process runs.", show_default=False),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", "-n", help="How many train as one.", min=1)] = 1,
    restarts: Annotated[
        int,
        typer.Option(help="Times that all are started again after one has failed, from the last checkpoint.", min=0),
    ] = 0,
    devices_per_process: Annotated[
        int | None,
        typer.Option(help="CPU devices of each process; default JAX_NUM_CPU_DEVICES, or its share of cores.", min=1),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train in several processes: `gymjax launch -n 2 --restarts 3 -- train --model lstm --data cpu.parquet`.

    When a process ends badly, all are ended. They are started again from the newest whole checkpoint, as long as that
    gets newer. Lines of process I begin with [I]; the result is that of process 0.
    """
    from gym_jax.cli.log import log
    from gym_jax.launch.supervise import supervise
    from gym_jax.serve.system import read_system

    output, lock, environ = ctx.obj, threading.Lock(), dict(os.environ)
    command = [sys.executable, "-m", "gym_jax", *_judged(words or [], as_json)]
    if devices_per_process is None and processes > 1 and "JAX_NUM_CPU_DEVICES" not in environ:
        devices_per_process = max(1, read_system()["cores"] // processes)
    if devices_per_process is not None:
        environ["JAX_NUM_CPU_DEVICES"] = str(devices_per_process)

    def say(rank: int, line: str) -> None:
        with lock:
            print(f"[{rank}] {line}", file=sys.stderr, flush=True)

    def tell(again: "Again") -> None:
        log("restart", {**again._asdict(), "error": again.error.message})
        if output.format == "text" and output.verbosity >= 0:
            with lock:
                print(_line(again, restarts), file=sys.stderr, flush=True)

    out = supervise(command, processes, restarts=restarts, environ=environ, say=say, tell=tell)
    sys.stdout.write(out.decode())


def _line(again: "Again", restarts: int) -> str:
    """Return the line that says why all are started again, and from where."""
    since = f"from step {again.step:,}" if again.step else "from the beginning"
    return f"launch: {again.error.message}; restart {again.restart} of {restarts} in {again.pause:g} s, {since}"


def _judged(words: list[str], as_json: bool) -> list[str]:
    """Return the words of each process. Raises ConfigError unless they are those of a training."""
    if not words or words[0] != "train":
        raise ConfigError(
            f"`{words[0]}` can not be launched" if words else "nothing to launch",
            hint="what follows -- is the command of each process; only train runs in several",
            attempt="gymjax launch -n 2 -- train --model lstm",
            code="usage",
        )
    return [*words, *(["--json"] if as_json and "--json" not in words else [])]


def find_begun(settings: "Config", resume: str | None, run_dir: str | None) -> "RunFolder | None":
    """Return the run to go on with: that of an earlier attempt of the launcher, or what `--resume auto` finds."""
    from gym_jax.launch.child import launched
    from gym_jax.run.train import find_resumable

    again = launched()
    place = again.run or run_dir
    begun = again.attempt > 0 and (place or settings.run.name)
    return find_resumable(settings, place) if begun or resume == "auto" else None


def telling(watch: "Watch", as_json: bool) -> "Watch":
    """Return what watches a training, tells its launcher where the run is, and says as JSON that it is stuck."""
    from gym_jax.cli.show import print_error
    from gym_jax.launch.child import tell_run

    def told(event: Any) -> None:
        if event.kind == "start":
            tell_run(event.facts["folder"])
        if event.kind != "stuck":
            watch(event)
        elif as_json:
            print_error(event.facts["error"], as_json=True, command="train")
            sys.stdout.flush()  # nothing follows that would

    return told
