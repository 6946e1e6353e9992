"""A whole fit from a data frame: gym_jax, Lightning and neuralforecast on the same windows.

python benchmarks/fit_peers.py [--epochs 20] [--rounds 3] [--peers gymjax,lightning] [--python PYTHON] [--quick]

The frame holds 8 series with one target and three past columns, 20,480 windows as in S3; each fit makes the same number
of steps of 64 windows with an LSTM of 64 and Adam 1e-3. A fit begins with the frame in memory and ends with trained
weights: cutting windows, compiling and training. Every fit has a process of its own, rounds go forwards and backwards.

gymjax          windows by index over the panel, epochs of compiled chunks, placed as a run places them: by a race
                where the fit is long enough for one
lightning       the windows cut before, DataLoader, the PyTorch model of the other arms, fused Adam
neuralforecast  its LSTM with one linear layer behind it: a forecast of every step out of a state of its own
nf one series   the same with one series in a batch instead of all, so that it cuts fewer windows every step

Peers run in PYTHON, the interpreter of an environment that has them; one that it lacks is named and left out:
python3 -m venv /tmp/nf && /tmp/nf/bin/pip install torch neuralforecast lightning
"""

import argparse
import functools
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np
from clock import cores, peak_mb
from ratios import interval, ratios, turn
from scenarios import HORIZON, RATE, SEED, Scenario, find, flops
from table import aligned, spread

SERIES = 8
PAST = ("x0", "x1", "x2")
RESULTS = Path(__file__).parent / "results"


def make_frame(scenario: Scenario) -> Any:
    """Return a long pandas frame whose full windows are as many as the scenario has."""
    import pandas as pd

    rows = scenario.windows // SERIES + scenario.context + HORIZON - 1
    random, turns = np.random.default_rng(SEED), np.arange(rows) * 2 * np.pi / 48
    parts = []
    for number in range(SERIES):
        y = np.sin(turns + number) + 0.2 * random.standard_normal(rows)
        past = {name: np.cos(turns + i) + 0.2 * random.standard_normal(rows) for i, name in enumerate(PAST)}
        times = pd.date_range("2026-01-01", periods=rows, freq="5min")
        parts.append(pd.DataFrame({"unique_id": f"s{number}", "ds": times, "y": y, **past}))
    return pd.concat(parts, ignore_index=True)


def fit_gymjax(frame: Any, scenario: Scenario, epochs: int) -> int:
    """Return the steps that were made."""
    import jax
    from model_gymjax import fresh_state, make_model, step_for

    from gym_jax import data
    from gym_jax.config.schema import Train
    from gym_jax.data.order import shuffled
    from gym_jax.losses import mse
    from gym_jax.run.placement import layouts_of
    from gym_jax.train.loop import train
    from gym_jax.train.parallel import make_epoch, request_cpu_devices
    from gym_jax.train.race import race, record_gradients
    from gym_jax.train.step import make_train_step

    request_cpu_devices("cores")
    panel = data.read_frame(frame, target=("y",), past=PAST)
    whole = data.split_by_time(panel, train=1.0, val=0.0).train
    rows, series = data.origins(panel, whole, context=scenario.context, horizon=HORIZON)
    scaler = data.fit_scaler(panel, whole)
    windows = data.make_windows(panel, scaler, rows, series, context=scenario.context, horizon=HORIZON)

    def order(number: int) -> np.ndarray:
        return shuffled(SEED, number, len(windows), scenario.batch)

    steps, work, state, step = len(order(0)), flops(scenario), fresh_state(scenario), step_for(scenario)
    chunk = min(64, steps)
    layout, lanes = layouts_of(Train(batch_size=scenario.batch), work, epochs * steps * work, {})
    if lanes:
        probe = functools.partial(make_train_step, make_model(scenario), mse, record_gradients())
        won = race(step, probe, state, windows, order(0)[:chunk], lanes)
        layout, epoch = won.layout, won.epoch
    else:
        epoch = make_epoch(step, layout)
    state, examples = layout.replicate(state), layout.replicate(windows)
    for progress in train(
        epoch, state, examples, order, epochs=epochs, chunk=chunk, hold=lambda position: position.batch == 0
    ):
        state = progress.state
    jax.block_until_ready(state)
    return epochs * steps


def fit_lightning(frame: Any, scenario: Scenario, epochs: int) -> int:
    """Return the steps that were made."""
    import lightning
    import torch
    from model_torch import make_adam, make_model
    from torch.utils.data import DataLoader, TensorDataset

    class Forecaster(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = make_model(scenario)

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            x, y = batch
            return torch.nn.functional.mse_loss(self.model(x), y)

        def configure_optimizers(self) -> Any:
            return make_adam(self.model, RATE)

    span = scenario.context + HORIZON
    cut = []
    for _, rows in frame.groupby("unique_id", sort=False):
        values = torch.from_numpy(rows[["y", *PAST]].to_numpy(np.float32))
        cut.append(values.unfold(0, span, 1).transpose(1, 2))
    windows = torch.cat(cut)
    dataset = TensorDataset(windows[:, : scenario.context].contiguous(), windows[:, scenario.context :, 0].contiguous())
    trainer = lightning.Trainer(max_epochs=epochs, **_quiet())
    trainer.fit(Forecaster(), DataLoader(dataset, scenario.batch, shuffle=True, drop_last=True))
    return trainer.global_step


def fit_neuralforecast(frame: Any, scenario: Scenario, epochs: int, series: int = SERIES) -> int:
    """Return the steps that were made; `series` of them are in a batch, of which windows are then drawn."""
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MSE
    from neuralforecast.models import LSTM

    steps = epochs * (scenario.windows // scenario.batch)
    model = LSTM(
        h=HORIZON,
        input_size=scenario.context,
        hist_exog_list=list(PAST),
        encoder_n_layers=scenario.settings["layers"],
        encoder_hidden_size=scenario.settings["hidden"],
        decoder_layers=1,
        loss=MSE(),
        max_steps=steps,
        learning_rate=RATE,
        batch_size=series,
        windows_batch_size=scenario.batch,
        training_data_availability_threshold=1.0,
        scaler_type="identity",
        **_quiet(),
    )
    NeuralForecast(models=[model], freq="5min").fit(frame, val_size=0)
    return steps


def _quiet() -> dict[str, Any]:
    """Return settings of a Lightning trainer on the CPU that does nothing but train."""
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return {"accelerator": "cpu", **dict.fromkeys(silent, False)}


ONE = "nf one series"
FITS: dict[str, Callable[..., int]] = {
    "gymjax": fit_gymjax,
    "lightning": fit_lightning,
    "neuralforecast": fit_neuralforecast,
    ONE: lambda frame, scenario, epochs: fit_neuralforecast(frame, scenario, epochs, series=1),
}


MODULES = {
    "gymjax": ("model_gymjax", "gym_jax.train.loop", "gym_jax.data.read"),
    "lightning": ("model_torch", "lightning"),
    "neuralforecast": ("model_torch", "neuralforecast"),
    ONE: ("model_torch", "neuralforecast"),
}


def fit(name: str, epochs: int, quick: bool) -> None:
    """Print one line of JSON."""
    scenario = find("S3", quick)
    frame = make_frame(scenario)
    began = time.perf_counter()
    try:
        for module in MODULES[name]:
            importlib.import_module(module)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    imported = time.perf_counter()
    if name != "gymjax":
        sys.modules["torch"].set_num_threads(cores())
    steps = FITS[name](frame, scenario, epochs)
    seconds = time.perf_counter() - imported
    facts = {"import_seconds": imported - began, "fit_seconds": seconds, "steps": steps, "peak_mb": peak_mb()}
    print(json.dumps(facts), flush=True)


def start(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return what a fit in its own process reports, or why it did not."""
    python = sys.executable if name == "gymjax" else given.python
    command = [python, __file__, "--fit", name, "--epochs", str(given.epochs), *(["--quick"] if given.quick else [])]
    around = {**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": str(cores())}
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=around, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]}
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "process_seconds": seconds}


def main(given: argparse.Namespace) -> None:
    """Measure, save, print."""
    given.name = f"quick_{given.name}" if given.quick else given.name
    names, rounds = [name.strip() for name in given.peers.split(",")], []
    results: dict[str, Any] = {"machine": machine.facts(), "epochs": given.epochs, "rounds": rounds}
    for number in range(given.rounds):
        rounds.append({name: start(name, given) for name in turn(names, number)})
        names = [name for name in names if "fit_seconds" in rounds[-1][name]]
    rows = [("fit", "seconds", "of ours", "whole process", "steps", "peak MB")]
    for name, one in rounds[0].items():
        if "fit_seconds" not in one:
            print(f"{name} left out: {one.get('missing') or one['error']}")
            continue
        found = [one[name] for one in rounds if "fit_seconds" in one.get(name, {})]
        both = [one for one in rounds if all("fit_seconds" in one.get(each, {}) for each in (name, "gymjax"))]
        seconds = {each: [one[each]["fit_seconds"] for one in both] for each in (name, "gymjax")}
        against = interval(ratios(seconds[name], seconds["gymjax"]))._asdict() if both else None
        typical = [statistics.median(one[key] for one in found) for key in ("fit_seconds", "process_seconds")]
        memory = max(one["peak_mb"] for one in found)
        results[name] = {"fit_seconds": typical[0], "process_seconds": typical[1], "ratio": against, "peak_mb": memory}
        rows.append(
            (name, f"{typical[0]:.2f}", spread(against), f"{typical[1]:.2f}", str(found[0]["steps"]), f"{memory:.0f}")
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{given.name}.json").write_text(json.dumps(results, indent=1))
    print("\n".join(aligned(rows)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(FITS))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--name", default="fit_peers", help="of the file in benchmarks/results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script and not to measure")
    parser.add_argument("--fit", choices=FITS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        fit(arguments.fit, arguments.epochs, arguments.quick)
    else:
        main(arguments)
