"""What a server counts of itself, in the words of Prometheus (text format 0.0.4)."""

import sys
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gym_jax.inference import Series, Spec, Window

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FAR = 4.0
"""Spreads of the training around its middle: a value beyond is outside of what training saw."""
COMPILED = "/jax/core/compile/backend_compile_duration"
"""The event that JAX reports for each program it compiles."""

Labels = tuple[tuple[str, str], ...]


@dataclass
class Histogram:
    """Counts below each of some bounds, as Prometheus adds them up."""

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: Labels = ()) -> Iterator[str]:
        """Yield its lines."""
        counts, below = self.counts or [0] * (len(self.bounds) + 1), 0
        for bound, count in zip((*(f"{bound:g}" for bound in self.bounds), "+Inf"), counts, strict=True):
            below += count
            yield _line(f"{name}_bucket", (*labels, ("le", bound)), below)
        yield _line(f"{name}_sum", labels, self.total)
        yield _line(f"{name}_count", labels, below)


@dataclass
class Meters:
    """Everything that is counted; any thread may add."""

    requests: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    seconds: dict[Labels, Histogram] = field(default_factory=lambda: defaultdict(lambda: Histogram(SECONDS)))
    batches: Histogram = field(default_factory=lambda: Histogram(SIZES))
    reloads: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    values: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    outside: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    compiles: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, path: str, code: int, seconds: float) -> None:
        """Count a request that was answered or refused."""
        with self._lock:
            self.requests[("path", path), ("code", str(code))] += 1
            self.seconds[(("path", path),)].add(seconds)

    def batch(self, windows: int) -> None:
        """Count a call of the network."""
        with self._lock:
            self.batches.add(windows)

    def reload(self, model: str, result: str) -> None:
        """Count a newer version that was taken or refused."""
        with self._lock:
            self.reloads[("model", model), ("result", result)] += 1

    def drift(self, name: str, spec: Spec, series: Sequence[Series], window: Window) -> None:
        """Count the values of each target that lie outside of what training saw.

        Only of series whose scale is that of the training: any other is measured by itself.
        """
        scaler = None if spec.fitted is None else spec.fitted.scaler
        if scaler is None:
            return
        known = [scaler.shared or one.id in spec.places for one in series]
        for place, target in enumerate(spec.targets):
            seen = window.mask[known][..., place]
            low, high = (0.0, 1.0) if spec.preprocessing.scale.kind == "minmax" else (-FAR, FAR)
            values = window.past[known][..., place]
            out = seen & ((values < low) | (values > high))
            labels = ("model", name), ("column", target)
            with self._lock:
                self.values[labels] += int(np.count_nonzero(seen))
                self.outside[labels] += int(np.count_nonzero(out))

    def count_compiles(self) -> None:
        """Count from now on every program that JAX compiles, if it is loaded at all."""
        if "jax" not in sys.modules:
            return
        import jax

        def compiled(event: str, duration_secs: float, **more: Any) -> None:
            if event == COMPILED:
                with self._lock:
                    self.compiles += 1

        jax.monitoring.register_event_duration_secs_listener(compiled)

    def text(self, depth: int, models: Sequence[Mapping[str, str]]) -> str:
        """Return everything as Prometheus reads it."""
        with self._lock:
            return "\n".join([*self._lines(depth, models), ""])

    def _lines(self, depth: int, models: Sequence[Mapping[str, str]]) -> Iterator[str]:
        yield from _head("gymjax_requests_total", "counter", "Requests by path and status.")
        yield from (_line("gymjax_requests_total", labels, count) for labels, count in sorted(self.requests.items()))
        yield from _head("gymjax_request_seconds", "histogram", "From the head of a request to its answer.")
        for labels, histogram in sorted(self.seconds.items()):
            yield from histogram.lines("gymjax_request_seconds", labels)
        yield from _head("gymjax_batch_windows", "histogram", "Windows that were answered in one call of the network.")
        yield from self.batches.lines("gymjax_batch_windows")
        yield from _head("gymjax_queue_depth", "gauge", "Requests that wait for their forecast.")
        yield _line("gymjax_queue_depth", (), depth)
        yield from _head(
            "gymjax_compiles_total", "counter", "Programs that were compiled, those of the start included."
        )
        yield _line("gymjax_compiles_total", (), self.compiles)
        yield from _head("gymjax_model_info", "gauge", "The version of each model.")
        yield from (_line("gymjax_model_info", tuple(facts.items()), 1) for facts in models)
        yield from _head("gymjax_reloads_total", "counter", "Newer versions that were taken or refused.")
        yield from (_line("gymjax_reloads_total", labels, count) for labels, count in sorted(self.reloads.items()))
        yield from _head("gymjax_input_values_total", "counter", "Observed values that were asked about.")
        yield from (_line("gymjax_input_values_total", labels, count) for labels, count in sorted(self.values.items()))
        yield from _head("gymjax_input_outside_total", "counter", "Those outside of what training saw.")
        yield from (
            _line("gymjax_input_outside_total", labels, count) for labels, count in sorted(self.outside.items())
        )
        yield from _head("gymjax_input_outside_share", "gauge", "Their share since the start.")
        for labels, count in sorted(self.values.items()):
            yield _line("gymjax_input_outside_share", labels, self.outside[labels] / max(count, 1))


def _head(name: str, kind: str, words: str) -> tuple[str, str]:
    return f"# HELP {name} {words}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(word)}"' for key, word in labels)
    return f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}"


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
