"""`gymjax serve`: trained models behind HTTP."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gym_jax.cli.candidates import complete_run
from gym_jax.cli.options import AsJson, CompileCache, Host, Platform, Port, Root

if TYPE_CHECKING:
    from gym_jax.serve.api.shelf import Shelf

PORT = 8643


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]RUN|EXPORT...",
            help="Run folders, names under --root, latest, or folders of `gymjax export`.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ],
    root: Root = None,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    token_file: Annotated[
        str | None, typer.Option("--token-file", help="File with a token that who asks must know.")
    ] = None,
    reload: Annotated[
        float, typer.Option(help="Seconds between two looks for a newer version; 0 keeps the first.", min=0, max=86400)
    ] = 5.0,
    platform: Platform = None,
    compile_cache: CompileCache = None,
    as_json: AsJson = False,
) -> None:
    """Answer for trained models over HTTP: forecasts and allocations, in batches, until Ctrl-C or SIGTERM.

    Prints where it is once every program is compiled and every model has answered its golden windows. What is being
    answered when it is told to stop is answered. It only reads; nothing is written into a run.
    """
    from gym_jax.serve.server import bind, need_server, url_of

    need_server("gymjax serve", "`gymjax predict RUN` forecasts without a server")
    from gym_jax.cli.platform import choose_platform
    from gym_jax.cli.show import print_json
    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.serve.api.app import ALONE, make_app
    from gym_jax.serve.api.batch import Batcher
    from gym_jax.serve.api.door import make_model_server
    from gym_jax.serve.api.limits import USUAL
    from gym_jax.serve.api.meters import Meters
    from gym_jax.serve.api.served import sources_of
    from gym_jax.serve.api.shelf import open_shelf
    from gym_jax.serve.guard import ANY, needed_token

    token, notes = needed_token(host, token_file, "serve")
    sources = sources_of(models, root)
    if any(source.kind == "run" for source in sources):
        choose_platform(platform, compile_cache)
        import jax  # noqa: F401  # before what counts its programs
    meters = Meters()
    meters.count_compiles()
    with bind(host, port, "serve") as listening, stop_on_signals() as stopped:
        shelf = open_shelf(sources, meters, tell=lambda words: print(words, file=sys.stderr, flush=True))
        batcher = Batcher(meters, most=USUAL.waiting)

        def begin() -> bool:
            if stopped() is not None:
                return False
            url = url_of(listening, host)
            if as_json:
                facts = [{"name": name, "version": one.version} for name, one in shelf.models.items()]
                print_json("serve", {"url": url, "models": facts, "token": token is not None})
            else:
                print(url)
                _tell(shelf, notes)
            sys.stdout.flush()
            if reload:
                shelf.watch(reload)
            return True

        rules = ALONE if token is None else ALONE._replace(token=token, hosts=ANY)
        batcher.start()
        make_model_server(make_app(shelf, batcher, rules=rules), USUAL, begin).run(sockets=[listening])
        batcher.stop()
        if code := stopped():
            raise typer.Exit(code)


def _tell(shelf: "Shelf", notes: list[str]) -> None:
    for name, served in shelf.models.items():
        spec = served.model.spec
        sizes = ", ".join(map(str, served.rungs))
        words = f"{name}: version {served.version}, {spec.model['kind']} of step {spec.trained_step} ({spec.weights})"
        print(f"{words}, {served.model.backend}, batches of {sizes}", file=sys.stderr)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print("Ctrl-C ends it", file=sys.stderr)
