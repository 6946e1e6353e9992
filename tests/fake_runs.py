"""Run folders as a training process writes them, without one, and a server that watches them."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path

import yaml

from gym_jax.locks import try_lock

CLOCK = "2026-03-01T00:00:{:06.3f}+00:00"


def fake_run(root, name="run", *, epochs=40, patience=4, status="running", **settings):
    """Make a run that has begun; return its folder."""
    path = Path(root) / name
    path.mkdir(parents=True)
    config = {
        "schema_version": 2,
        "task": {"kind": "forecast"},
        "model": {"kind": "mlp"},
        "loss": {"kind": "mae"},
        "data": {"path": None},
        "train": {"epochs": epochs, "patience": patience, "seed": 0, "seeds": 1},
        "run": {"parent": None},
        "track": {"log_level": "debug"},
    }
    for section, values in settings.items():
        config[section] = {**config[section], **values}
    (path / "env.json").write_text(json.dumps({"schema": 2, "began": f"2026-03-01T00:00:00+00:00 {name}"}))
    (path / "status.json").write_text(json.dumps({"schema": 2, "status": status}))
    (path / "data.json").write_text('{"schema": 2}')
    (path / ".lock").touch()
    event(path, 0, event="started", step=0, epoch=0)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    return path


def epoch(path, number, loss, val_loss, *, at=None, seconds=2.0):
    """Append an epoch of 10 steps."""
    line = {"epoch": number, "step": 10 * number, "lr": 1e-3 / number, "loss": loss, "grad_norm": 0.5}
    line |= {} if val_loss is None else {"val_loss": val_loss}
    append(path / "metrics.jsonl", line)
    at = seconds * number if at is None else at
    event(path, at, event="epoch", epoch=number, step=10 * number, seconds=seconds, windows_per_second=1000 + number)
    return line


def chunk(path, done, batch, at, loss=1.0):
    """Append a place within the epoch after `done` ones; an epoch has 10 batches."""
    facts = {"epoch": done, "batch": batch, "batches": 10, "step": 10 * done + batch, "lr": 1e-3, "loss": loss}
    event(path, at, event="chunk", **facts, windows_per_second=900)


def event(path, at, **facts):
    """Append an event some seconds after the run began."""
    append(path / "log.jsonl", {"time": CLOCK.format(at), **facts})


def append(path, line):
    """Append a JSON line."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


@contextmanager
def trained(path):
    """Hold a run as a process does that trains it."""
    with (path / ".lock").open("a+") as file:
        assert try_lock(file)
        yield


@contextmanager
def serving(root, port=0, **options):
    """Serve a folder as the command does, in a thread; yield the URL."""
    from gym_jax.serve.app import make_app
    from gym_jax.serve.server import bind, make_server

    app = make_app(root, every=0.02, **options)
    with bind("127.0.0.1", port) as listening:
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            app.state.close()
            server.should_exit = True
            thread.join()
