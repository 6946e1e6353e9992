"""The pages and documents of the monitor as a Starlette application that can be mounted in another."""

import asyncio
import functools
import math
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from gym_jax.errors import GymJaxError
from gym_jax.run.folder import RunFolder
from gym_jax.serve.desk import Desk, Full
from gym_jax.serve.guard import COOKIE, Rules, cookie_of, guarded
from gym_jax.serve.hub import Hub, compact
from gym_jax.serve.thin import LEAST, MOST
from gym_jax.serve.watcher import Watcher

ALONE = Rules()
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
PAGES = 64
"""Pages that may listen at the same time."""
SEVERAL = 256
"""Runs whose curves are sent in one answer."""
LONGEST_WORD = 1000


def make_app(
    root: str | Path,
    *,
    only: RunFolder | None = None,
    rules: Rules = ALONE,
    every: float = 1.0,
    desk: Desk | None = None,
) -> Starlette:
    """Return the application that watches the runs under `root`, or `only` one of them, every so many seconds.

    `rules` say who may ask. It writes nothing, starts nothing before it is asked, and finds its parts wherever it is
    mounted: `Mount("/monitor", make_app("runs"))`. `app.state.close()` lets open pages go.
    """
    hub = Hub(Watcher(Path(root), only, every))
    app = Starlette(routes=make_routes(hub, desk or Desk(), rules))
    app.state.hub, app.state.close = hub, hub.close
    app.add_middleware(guarded, rules=rules)
    return app


def make_routes(hub: Hub, desk: Desk, rules: Rules = ALONE) -> list[BaseRoute]:
    """Return the routes of the page, of its documents and of its events."""
    parts = static_files()

    def page(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return _file(parts, name)

        return answer

    async def static(request: Request) -> Response:
        return _file(parts, request.path_params["name"])

    async def session(request: Request) -> Response:
        response = Response(status_code=204)
        if rules.token is not None:
            path = request.scope.get("root_path") or "/"
            value = cookie_of(rules.token)
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, value, path=path, httponly=True, samesite="strict", secure=secure)
        return response

    async def runs(request: Request) -> Response:
        await hub.refresh()
        return _json(await asyncio.to_thread(hub.watcher.snapshot))

    async def curves(request: Request) -> Response:
        await hub.refresh()
        asked = request.query_params.getlist("run")
        points = int(min(MOST, max(LEAST, _number(request.query_params.get("points"), 800))))
        view = (
            _number(request.query_params.get("from"), -math.inf),
            _number(request.query_params.get("to"), math.inf),
        )
        if len(asked) > SEVERAL:
            return _refused(413, f"curves of at most {SEVERAL} runs at once")
        whole = None if view == (-math.inf, math.inf) else view
        found = await asyncio.to_thread(lambda: [hub.watcher.curves(name, points, whole) for name in asked])
        if not asked or None in found:
            return _refused(404, "no such run")
        return _json({"runs": found})

    async def events(request: Request) -> Response:
        if len(hub.listeners) >= PAGES or hub.closing:
            return _refused(503, f"{PAGES} pages listen already")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(hub.listen(), media_type="text/event-stream")

    async def ask(request: Request, what: Callable[..., dict[str, Any]], **given: Any) -> Response:
        run = hub.watcher.find(request.query_params.get("run", ""))
        if run is None:
            await hub.refresh()
            run = hub.watcher.find(request.query_params.get("run", ""))
        if run is None:
            return _refused(404, "no such run")
        try:
            return _json(await desk.ask(what, run.folder, **given))
        except Full:
            return _refused(503, "too many questions are waiting")
        except GymJaxError as error:
            return _json({"error": error.facts()}, status=409)
        except Exception as error:  # a fault of ours: the page says so, the curves go on
            words = GymJaxError(f"{type(error).__name__}: {error}", attempt=f"gymjax predict {run.folder.path} --debug")
            return _json({"error": words.facts()}, status=500)

    async def series(request: Request) -> Response:
        return await ask(request, desk.series, fresh=request.query_params.get("fresh") == "1")

    async def forecast(request: Request) -> Response:
        given = request.query_params
        name = given.get("series", "")
        if len(name) > LONGEST_WORD:
            return _refused(404, "no such series")
        origin, target = _number(given.get("origin"), math.inf), _number(given.get("target"), 0)
        return await ask(request, desk.forecast, series=name, origin=origin, target=target)

    return [
        Route("/", page("index.html")),
        Route("/login", page("login.html")),
        Route("/static/{name}", static),
        Route("/api/session", session),
        Route("/api/runs", runs),
        Route("/api/curves", curves),
        Route("/api/events", events),
        Route("/api/series", series),
        Route("/api/forecast", forecast),
    ]


@functools.cache
def static_files() -> Mapping[str, bytes]:
    """Return every file of the page by its name: what is asked for is looked up here and nowhere else."""
    folder = resources.files("gym_jax.serve") / "static"
    return {part.name: part.read_bytes() for part in folder.iterdir() if Path(part.name).suffix in KINDS}


def _file(parts: Mapping[str, bytes], name: str) -> Response:
    if name not in parts:
        return _refused(404, "no such page")
    return Response(parts[name], media_type=KINDS[Path(name).suffix])


def _json(document: Any, status: int = 200) -> Response:
    return Response(compact(document), status, media_type="application/json")


def _refused(code: int, words: str) -> Response:
    return Response(words + "\n", code, media_type="text/plain")


def _number(word: str | None, otherwise: float) -> float:
    try:
        value = float(word) if word and len(word) < 40 else otherwise
    except ValueError:
        return otherwise
    return otherwise if math.isnan(value) else value
