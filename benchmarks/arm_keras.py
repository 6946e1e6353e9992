"""One arm, Keras 3 on the JAX backend: `fit` on arrays in memory.

python benchmarks/arm_keras.py S3 [--mode fit|several] [--weights FILE] [--quick]

fit:     a step per compiled call, as it comes
several: 20 steps per execution
The rows lie in the order of the batches already, so Keras shuffles and gathers nothing. The losses are those of
another model, step by step, after the clock has stopped.
"""

import argparse
import os
import time

import work
from clock import enough, peak_mb, report, timed
from scenarios import CHECKED, RATE, find
from weights import read

SEVERAL = 20
"""Divides the steps of every repetition."""


def main(given: argparse.Namespace) -> None:
    """Print one line of JSON."""
    os.environ["KERAS_BACKEND"] = "jax"
    began = time.perf_counter()
    import keras
    from model_keras import make_adam, make_model

    imported = time.perf_counter() - began
    scenario = find(given.scenario, given.quick)
    x, y = work.examples(scenario)
    rows = next(work.chunks(scenario)).ravel()
    x, y = x[rows], y[rows]
    weights = read(given.weights) if given.weights else None

    def compiled(several: int) -> keras.Model:
        model = make_model(scenario, weights)
        model.compile(optimizer=make_adam(RATE), loss="mse", steps_per_execution=several, jit_compile=True)
        return model

    class Watch(keras.callbacks.Callback):
        """Keeps the seconds of every epoch."""

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            times.append(time.perf_counter() - self.began)

    model = compiled(min(SEVERAL, scenario.steps) if given.mode == "several" else 1)

    def fit(epochs: int) -> None:
        model.fit(x, y, batch_size=scenario.batch, epochs=epochs, shuffle=False, verbose=0, callbacks=[Watch()])

    times: list[float] = []
    first = timed(fit, 1)
    fit(1)  # warms up
    times.clear()
    while not enough(times, given.quick):
        fit(2 if given.quick else 5)
    peak, other, losses = peak_mb(), compiled(1), []
    for number in range(min(CHECKED, scenario.steps)):
        part = slice(number * scenario.batch, (number + 1) * scenario.batch)
        other.reset_metrics()
        losses.append(float(other.train_on_batch(x[part], y[part])))
    arm = f"keras {given.mode}"
    report(scenario, arm, imported=imported, first=first, times=times, losses=losses, peak=peak)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("--mode", choices=("fit", "several"), default="fit")
    parser.add_argument("--weights")
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args())
