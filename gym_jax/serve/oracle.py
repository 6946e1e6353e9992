"""A trained run that is asked for forecasts: any series, from any origin, with bands and what came."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gym_jax.config.derive import settings
from gym_jax.errors import ConfigError, did_you_mean
from gym_jax.losses import bands_of, point_of, quantiles_of
from gym_jax.metrics import plain
from gym_jax.run.calibrate import Calibrated, read_calibration, steps_of
from gym_jax.run.folder import RunFolder
from gym_jax.run.intervals import offsets_of, piece_of, restored, scores_of
from gym_jax.run.load import Trained, load_run
from gym_jax.run.recent import since_training
from gym_jax.run.task import need_forecast
from gym_jax.serve.choice import Band, choices
from gym_jax.serve.strand import Strand, make_strand, observed, origins_of, time_of
from gym_jax.train.parallel import make_forecast

BLOCK = 64
"""Origins that are forecast together: those around the one asked come next."""
KEPT = 8
"""Series of a run that stay at hand."""
REPLAYED = 32_768
"""Windows of one series that adaptive intervals have followed at most, the last ones."""
NAMES = 5_000
"""Series that are named to a page; others can be asked for by their names."""
WIDEST = 4_000
"""Rows around an origin that are shown at most."""


@dataclass
class Oracle:
    """A run that was loaded: what answers, and the series that were asked for."""

    folder: RunFolder
    trained: Trained
    calibrated: Calibrated | None
    notes: list[str]
    levels: tuple[float, ...]
    """Of the quantiles it was trained for; none of a point forecast."""
    view: Callable[[Any], Any]
    """From an answer of the model to the point, its quantiles and both ends of each calibrated band."""
    compiled: Callable[..., Any]
    made_of: dict[str, int]
    """The step whose weights answer."""
    strands: OrderedDict[int, Strand] = field(default_factory=OrderedDict)

    def describe(self) -> dict[str, Any]:
        """Return what may be asked."""
        panel, task = self.trained.prepared.panel, self.trained.config.task
        names = panel.series[:NAMES]
        return {
            "series": [
                {"name": name, **origins_of(self.trained, number)._asdict()} for number, name in enumerate(names)
            ],
            "series_count": len(panel.series),
            "targets": list(panel.channels[: panel.targets]),
            "context": task.context,
            "horizon": task.horizon,
            "statistic": task.statistic,
            "interval": panel.describe_step(),
            "bands": self._method(),
            "hint": None if self._method() != "none" else self._hint(),
            "notes": self.notes,
            "steps": self.made_of,
            "weights": self.trained.weights,
            "seeds": list(self.trained.seeds),
        }

    def answer(self, series: str, origin: float, target: float) -> dict[str, Any]:
        """Return the forecast of a series from an origin (a row; the nearest that can be asked), and what is around it.

        Raises ConfigError when there is no such series or target.
        """
        panel, task = self.trained.prepared.panel, self.trained.config.task
        if series not in panel.series:
            raise ConfigError(f"no series `{series[:80]}`", hint=did_you_mean(series, panel.series[:NAMES]))
        if not (0 <= target < panel.targets and target == int(target)):
            raise ConfigError(f"no target {target:g}", hint=f"there are {panel.targets}, from 0")
        number, channel = panel.series.index(series), int(target)
        strand = self._strand(number)
        row = int(np.clip(origin, strand.origins.first, strand.origins.last))
        values = self._block(strand, row)[:, channel]
        steps = np.arange(task.horizon) if len(values) == task.horizon else np.zeros(task.horizon, np.int64)
        bands = [
            band._replace(low=band.low[steps], high=band.high[steps]) for band in self._bands(strand, row, channel)
        ]
        came = observed(strand, channel, row, row + task.horizon)
        return {
            "series": series,
            "target": panel.channels[channel],
            "origin": row,
            "time": time_of(strand, row),
            "step": strand.prepared.panel.step / 1e9 if strand.prepared.panel.clock == "ns" else None,
            "part": self._part(number, row),
            "forecast": plain(values[steps, 0]),
            "bands": [{"name": b.name, "low": plain(b.low), "high": plain(b.high)} for b in bands],
            "actual": plain(came),
            "around": self._around(strand, channel, row),
            "allocation": choices(bands, came, task.statistic),
        }

    def _method(self) -> str:
        if self.calibrated is not None:
            return f"calibrated ({self.calibrated.calibration.method})"
        return "quantiles" if self.levels else "none"

    def _hint(self) -> str:
        return f"gymjax calibrate {self.folder.path}"

    def _part(self, number: int, row: int) -> str:
        """Return the part that a forecast from this row lies in: what training has seen of it."""
        prepared = self.trained.prepared
        at = int(prepared.panel.offsets[number]) + row
        for name in ("train", "val", "test"):
            span = getattr(prepared.split, name)
            if span.begin[number] <= at < span.end[number]:
                return name
        return "future" if row >= prepared.panel.lengths[number] else "none"

    def _around(self, strand: Strand, channel: int, row: int) -> dict[str, Any]:
        """Return what was observed from two contexts before the origin on to two horizons behind its window."""
        task = self.trained.config.task
        before = min(max(2 * task.context, 4 * task.horizon), WIDEST // 2)
        begin, end = max(0, row - before), min(strand.length, row + min(4 * task.horizon, WIDEST // 2))
        return {"begin": begin, "time": time_of(strand, begin), "values": plain(observed(strand, channel, begin, end))}

    def _strand(self, number: int) -> Strand:
        if number not in self.strands:
            while len(self.strands) >= KEPT:
                self.strands.popitem(last=False)
            self.strands[number] = make_strand(self.trained, number)
        self.strands.move_to_end(number)
        return self.strands[number]

    def _block(self, strand: Strand, row: int) -> Float[np.ndarray, "steps targets outputs"]:
        """Return the outputs of one origin in the data's units; NaN where nothing was observed in its look-back."""
        place = row - strand.origins.first
        number = place // BLOCK
        if number not in strand.blocks:
            order = np.arange(number * BLOCK, (number + 1) * BLOCK)
            order = np.minimum(order, strand.origins.last - strand.origins.first)[None].astype(np.int32)
            found = [
                np.asarray(self.view(self.compiled(variables, strand.windows, order)))[0]
                for variables in self.trained.members
            ]
            values, zeros = np.mean(found, axis=0), np.zeros(BLOCK, np.int64)
            strand.blocks[number] = strand.prepared.scaler.restore(values, zeros)
        values = strand.blocks[number][place % BLOCK]
        panel = strand.prepared.panel
        past = panel.mask[max(0, row - strand.windows.context) : row, : panel.targets]
        return values if past.any() else np.full_like(values, np.nan)

    def _bands(self, strand: Strand, row: int, channel: int) -> list[Band]:
        """Return the bands of one origin, the widest first."""
        values = self._block(strand, row)
        if self.calibrated is not None:
            ends = self._calibrated(strand, row)[:, channel]
            levels = self.calibrated.calibration.levels
            return [
                Band(name := f"{100 * level:g} %", f"upper end of the {name} interval", ends[:, k, 0], ends[:, k, 1])
                for k, level in reversed(list(enumerate(levels)))
            ]
        quantiles = values[:, channel, 1 : 1 + len(self.levels)]
        found = []
        for low, level in enumerate(self.levels):
            high = next((k for k, other in enumerate(self.levels) if abs(level + other - 1) < 1e-6), None)
            if high is not None and level < 0.5:
                name = f"{100 * (self.levels[high] - level):g} %"
                upper = f"{self.levels[high]:g} quantile"
                found.append(Band(name, upper, quantiles[:, low], quantiles[:, high]))
        return found

    def _calibrated(self, strand: Strand, row: int) -> Float[np.ndarray, "steps targets levels 2"]:
        """Return the ends of the calibrated bands, moved as adaptive ones stood at the origin."""
        assert self.calibrated is not None
        if strand.offsets is None:
            strand.offsets = self._follow(strand)
        rows, moved = strand.offsets
        start = self.calibrated.calibration.start(strand.prepared.panel.series)[0]
        place = int(np.searchsorted(rows, row))
        offsets = start if not len(rows) or row < rows[0] else moved[min(place, len(moved) - 1)][None]
        piece = self._piece(strand, np.array([row]))
        return restored(strand.source, piece, offsets, self.calibrated.floor)[0]

    def _follow(self, strand: Strand) -> tuple[np.ndarray, np.ndarray]:
        """Return the windows since the run was trained and the offsets before each, and after all of them."""
        assert self.calibrated is not None
        calibration, panel = self.calibrated.calibration, strand.prepared.panel
        empty = np.empty(0, np.int64), np.empty((0, 0, 0, 0))
        if calibration.method != "adaptive":
            return empty
        facts = self.folder.read_json("data.json")
        end = np.array([strand.origins.last])
        rows, _ = since_training(self.trained.config, strand.prepared, facts, end, most=REPLAYED)
        rows = rows[(rows >= strand.origins.first) & (rows < strand.origins.last)]
        if not len(rows):
            return empty
        piece = self._piece(strand, rows)
        scores = scores_of(strand.source, strand.prepared.truth, piece)
        found = offsets_of(strand.source, calibration, piece, scores)
        assert len(panel.series) == 1
        return rows, np.concatenate([found.offsets, found.last])

    def _piece(self, strand: Strand, rows: np.ndarray) -> Any:
        begin = 1 + len(self.levels)
        values = np.stack([self._block(strand, int(row)) for row in rows])
        values = np.concatenate([values[..., :1], values[..., begin:]], axis=-1)
        return piece_of(strand.source, rows, np.zeros(len(rows), np.int64), values)


def open_oracle(folder: RunFolder) -> Oracle:
    """Load a run: its best weights so far, its data and its calibration. Raises what loading and reading do."""
    trained = load_run(folder)
    need_forecast(trained.config, "monitor")
    calibrated, notes = read_calibration(folder)
    kind, own = trained.config.loss.kind, settings(trained.config.loss)
    levels, quantiles = quantiles_of(kind, own)
    point = point_of(kind, own)
    asked: Sequence[float] = () if calibrated is None else calibrated.calibration.levels
    ends = bands_of(kind, own, asked)

    def view(answer: Any) -> Any:
        parts = [point(answer)[..., None], quantiles(answer)]
        if asked:
            bands = ends(answer)
            parts.append(bands.reshape(*bands.shape[:-2], -1))
        return jnp.concatenate(parts, axis=-1)

    return Oracle(
        folder, trained, calibrated, notes, levels, view, make_forecast(trained.model), dict(steps_of(folder))
    )
