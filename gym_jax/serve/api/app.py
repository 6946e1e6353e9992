"""The endpoints: models, forecasts, allocations, health, counts, and the document that describes them."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from gym_jax.errors import GymJaxError
from gym_jax.serve.api.allocating import allocations, plan_of
from gym_jax.serve.api.answering import answer_json
from gym_jax.serve.api.asking import series_of
from gym_jax.serve.api.batch import Batcher
from gym_jax.serve.api.body import Bodies, head_size
from gym_jax.serve.api.describe import describe, openapi, page
from gym_jax.serve.api.limits import USUAL, Limits
from gym_jax.serve.api.meters import Meters
from gym_jax.serve.api.problem import Problem, Refused, busy, header_too_long, refusal_of
from gym_jax.serve.api.served import Served
from gym_jax.serve.api.shapes import (
    AllocationQuestion,
    Allocations,
    Faults,
    Forecasts,
    Models,
    ModelSpec,
    Question,
    judge,
)
from gym_jax.serve.api.shelf import Shelf
from gym_jax.serve.api.strict import read_json, write_json
from gym_jax.serve.guard import Rules, Scope, guarded
from gym_jax.serve.remote import told

OPEN = ("/healthz", "/readyz")
"""What is there without a token: whether it lives, and nothing about a model."""
ALONE = Rules(methods=("GET", "HEAD", "POST"), open=OPEN, login=None)
READY_SECONDS = 1.0
"""For which a golden forecast stands for the next."""
Answer = Callable[[Request], Awaitable[Any]]


@dataclass
class Health:
    """When the golden forecasts were last made, and what was wrong with them."""

    at: float = 0.0
    faults: tuple[Problem, ...] = ()
    lock: asyncio.Lock | None = None


def make_app(shelf: Shelf, batcher: Batcher, *, rules: Rules = ALONE, limits: Limits = USUAL) -> FastAPI:
    """Return the application that answers for the models on a shelf; `batcher` must have been started."""
    meters, bodies, health = shelf.meters, Bodies(limits), Health()
    app = FastAPI(
        title="gym_jax model server",
        description="Forecasts of resource use, and the allocations that follow from them.",
        docs_url=None,
        redoc_url=None,
    )

    async def asked(request: Request, shape: type[Any]) -> tuple[Any, Served, list[Any]]:
        batcher.coming += 1
        try:
            question = judge(shape, read_json(await bodies.read(request)))
            served = shelf.pick(question.model)
            return question, served, series_of(served.model.spec, question)
        finally:
            batcher.coming -= 1

    async def forecasts(served: Served, series: list[Any]) -> list[Any]:
        future = asyncio.wrap_future(batcher.predict(served, series))
        try:
            async with asyncio.timeout(limits.answer_seconds):
                return await future
        except TimeoutError as error:
            raise busy(f"no forecast within {limits.answer_seconds:g} s") from error

    @app.get("/v1/models", response_model=Models)
    async def models(request: Request) -> Response:
        """Every model that is served, its version, and what it is asked."""
        found = [describe(served, shelf.refused.get(name)) for name, served in shelf.models.items()]
        return _json({"models": found})

    @app.get("/v1/models/{name}", response_model=ModelSpec, responses={404: REFUSALS[404]})
    async def model(request: Request, name: str) -> Response:
        """What `gym_jax.serve.client` reads tables with: everything about a model but weights and training series."""
        served = shelf.pick(name)
        return _json({"version": served.version, "spec": told(served.model.spec).to_json()})

    @app.post("/v1/predict", response_model=Forecasts, responses=REFUSALS)
    async def predict(request: Request) -> Response:
        """Forecast the steps after each series, in the data's units."""
        _, served, series = await asked(request, Question)
        found = answer_json(served.model.spec, series, await forecasts(served, series))
        return _json({"model": served.name, "version": served.version, "series": found})

    @app.post("/v1/recommend", response_model=Allocations, responses=REFUSALS)
    async def recommend(request: Request) -> Response:
        """Say what each workload should get for the horizon of the model, at a risk, and why."""
        question, served, series = await asked(request, AllocationQuestion)
        plan = plan_of(served.model.spec, question)
        found = allocations(served.model.spec, plan, series, await forecasts(served, series))
        facts = {"resource": question.resource, "risk": question.risk}
        return _json({"model": served.name, "version": served.version, **facts, "series": found})

    @app.get("/healthz")
    async def healthz(request: Request) -> Response:
        """Whether the process answers at all."""
        return _json({"status": "alive"})

    @app.get("/readyz", responses={503: {"model": Faults}})
    async def readyz(request: Request) -> Response:
        """Whether every model answers its golden windows as it did when it was trained: they are asked now."""
        health.lock = health.lock or asyncio.Lock()
        async with health.lock:
            if time.monotonic() - health.at > READY_SECONDS:
                health.faults = tuple(await _golden(shelf, batcher, limits))
                health.at = time.monotonic()
        if health.faults:
            raise Refused(503, *health.faults, headers=[("retry-after", "5")])
        return _json({"status": "ready", "models": {name: one.version for name, one in shelf.models.items()}})

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Counts and times in the words of Prometheus."""
        facts = [
            {"model": name, "version": one.version, "backend": one.model.backend} for name, one in shelf.models.items()
        ]
        return Response(meters.text(batcher.depth, facts), media_type="text/plain; version=0.0.4; charset=utf-8")

    text = functools.cache(lambda: page(app.openapi()))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(text())

    app.state.close = shelf.close
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(GymJaxError, _failed)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_middleware(guarded, rules=rules, refuse=_guard_words)
    paths = frozenset(str(getattr(route, "path", "")) for route in app.routes)
    app.add_middleware(measured, meters=meters, header=limits.header, paths=paths)
    return app


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Faults, "description": "No JSON, or no HTTP."},
    401: {"model": Faults, "description": "A token is needed."},
    404: {"model": Faults, "description": "No such model."},
    413: {"model": Faults, "description": "The body is too large."},
    415: {"model": Faults, "description": "The body is no application/json."},
    422: {"model": Faults, "description": "A question that the model can not answer; every fault of it."},
    500: {"model": Faults, "description": "The model fails; /readyz says so too."},
    503: {"model": Faults, "description": "Too much to do; come again after Retry-After seconds."},
}


async def _golden(shelf: Shelf, batcher: Batcher, limits: Limits) -> list[Problem]:
    faults = []
    for name, served in list(shelf.models.items()):
        try:
            await asyncio.wait_for(asyncio.wrap_future(batcher.check(served.model)), limits.read_seconds)
        except TimeoutError:
            faults.append(Problem("model.stuck", f"{name} does not answer", "look at /metrics: queue depth"))
        except Exception as error:
            hint = getattr(error, "hint", None) or "start it anew, from a sound version"
            faults.append(Problem(getattr(error, "code", "model.failed"), f"{name}: {_line(error)}", hint))
    return faults


def measured(app: Any, meters: Meters, paths: frozenset[str], header: int) -> Any:
    """Return an application whose answers are counted, whose faults are told without a traceback, and whose requests
    have a head of so many bytes at most: uvicorn looks only at heads that come in parts."""

    async def measure(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        began, code, told = time.perf_counter(), 499, False  # 499: the client has gone

        def count() -> None:
            nonlocal told
            known = getattr(scope.get("route"), "path", scope["path"])
            meters.request(known if known in paths else "other", code, time.perf_counter() - began)
            told = True

        async def noted(message: Any) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            elif not message.get("more_body"):
                count()  # before it is sent: who has the answer finds it counted
            await send(message)

        try:
            if head_size(scope) > header:
                await _json(header_too_long(header).document(), 431)(scope, receive, noted)
            else:
                await app(scope, receive, noted)
        except ClientDisconnect:
            pass
        except Exception as error:
            if code != 499:  # half of an answer is sent
                raise
            await _fault(error)(scope, receive, noted)
        finally:
            if not told:
                count()

    return measure


def _json(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(write_json(document), status, headers=headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _json(error.document(), error.status, dict(error.headers))


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, GymJaxError)
    return await _refused(request, refusal_of(error, 500))


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "no such page", 405: f"{request.method[:10]} is not answered here"}.get(
        error.status_code, str(error.detail)
    )
    refused = Refused(error.status_code, Problem("http.path", words, "GET /docs lists what there is"))
    return _json(refused.document(), error.status_code, error.headers)


def _fault(error: Exception) -> Response:
    """Return the answer to a fault of ours: its kind and no more."""
    problem = Problem("serve.fault", f"a fault of the server: {type(error).__name__}", "please report it")
    return _json(Refused(500, problem).document(), 500)


def _guard_words(code: int, words: str) -> tuple[bytes, str]:
    hints = {401: "authorization: Bearer TOKEN", 421: "gymjax serve --host NAME", 405: "GET or POST"}
    problem = Problem("serve.guard", words.strip(), hints.get(code, ""))
    return write_json(Refused(code, problem).document()), "application/json"


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
