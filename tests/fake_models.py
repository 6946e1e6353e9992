"""Models of a few array operations, and a server of them on a real socket."""

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from gym_jax.data.preprocess import Fitted, Preprocessing
from gym_jax.data.reading import Reading
from gym_jax.data.scale import Scaler
from gym_jax.data.split import Splitting
from gym_jax.data.static import StaticEncoder
from gym_jax.inference import Model, Spec, Window
from gym_jax.inference.artefact import Golden
from gym_jax.serve.api.ladder import on_ladder
from gym_jax.serve.api.limits import USUAL
from gym_jax.serve.api.served import Served, Source

CONTEXT, HORIZON = 8, 3
LEVELS = (0.1, 0.5, 0.9)
HOUR = 3_600 * 10**9


def fake_spec(**more):
    """Return a specification of a forecast of `cpu` from `cpu` and `mem`, five minutes a row, in units of 2 from 10."""
    channels = 2 + len(more.get("known", ()))
    usual = {
        "name": "fake",
        "task": "forecast",
        "context": CONTEXT,
        "look_back": CONTEXT,
        "horizon": HORIZON,
        "statistic": "none",
        "targets": ("cpu",),
        "past": ("mem",),
        "known": (),
        "static": (),
        "categories": (),
        "id_name": "unique_id",
        "time_name": "ds",
        "step": HOUR // 12,
        "clock": "ns",
        "calendar_zone": None,
        "season": 288,
        "series": ("m1", "m2"),
        "preprocessing": Preprocessing(),
        "reading": Reading(target=("cpu",), past=("mem",)),
        "split": Splitting(),
        "model": {"kind": "last"},
        "loss": {"kind": "mae"},
        "fitted": Fitted(
            Scaler(np.full((2, channels), 10.0), np.full((2, channels), 2.0)), StaticEncoder(np.zeros(0), np.ones(0))
        ),
        "learnt": None,
        "calibration": None,
        "floor": (),
        "seed": 0,
        "trained_step": 7,
        "weights": "trained",
        "weights_digest": "0" * 64,
        "versions": {},
    }
    return Spec(**{**usual, **more})


def last_value(window):
    """Say that the last value of the target goes on, in every step."""
    return np.repeat(window.past[:, -1:, :1], HORIZON, axis=1)


def three_levels(window):
    """Say the last value, with quantiles one unit around it."""
    return np.stack([last_value(window) + shift for shift in (-1, 0, 1)], axis=-1).astype(np.float32)


def fake_model(run=last_value, **more):
    """Return a model of one function of windows; of `three_levels` one of quantiles."""
    if run is three_levels:
        more.setdefault("loss", {"kind": "quantiles", "levels": list(LEVELS)})
    spec = fake_spec(**more)
    draw = np.random.default_rng(0)
    past = draw.normal(size=(4, CONTEXT, len(spec.channels))).astype(np.float32)
    future = draw.normal(size=(4, HORIZON, len(spec.known))).astype(np.float32) if spec.known else None
    window = Window(past, np.ones(past.shape, bool), future)
    return Model(spec, run, Path("/models/fake"), "numpy", Golden(window, run(window)))


def served(model=None, name="fake", path=Path("/models/fake"), mark=(1,)):
    """Return a model as a shelf holds it."""
    ready, rungs = on_ladder(model or fake_model())
    return Served(Source(name, path, "export"), ready, rungs, mark, "2026-03-01T00:00:00+00:00")


def poisoned(one):
    """Return a served model whose weights have become NaN since it was opened."""
    broken = replace(one.model, run=lambda window: one.model.run(window) * np.float32(np.nan))
    return replace(one, model=broken)


def asked(values=(10.0, 12.0), name="m1", **more):
    """Return one series of a question."""
    return {"id": name, "values": {"cpu": list(values), "mem": [10.0] * len(values)}, **more}


@contextmanager
def serving_models(*models, limits=USUAL, rules=None, open_=None):
    """Serve models as the command does, in threads; yield the application with its `url`, `shelf` and `server`."""
    from gym_jax.serve.api.app import ALONE, make_app
    from gym_jax.serve.api.batch import Batcher
    from gym_jax.serve.api.door import make_model_server
    from gym_jax.serve.api.meters import Meters
    from gym_jax.serve.api.shelf import Shelf
    from gym_jax.serve.server import bind

    shelf = Shelf({one.name: one for one in models or (served(),)}, Meters(), **({"open": open_} if open_ else {}))
    batcher = Batcher(shelf.meters, most=limits.waiting)
    batcher.start()
    app = make_app(shelf, batcher, rules=rules or ALONE, limits=limits)
    with bind("127.0.0.1", 0) as listening:
        app.port = listening.getsockname()[1]
        app.url, app.shelf, app.batcher = f"http://127.0.0.1:{app.port}", shelf, batcher
        app.server = make_model_server(app, limits)
        thread = threading.Thread(target=app.server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield app
        finally:
            app.server.should_exit = True
            thread.join()
            batcher.stop()
