"""A panel in numbers, for people who look before they train."""

from typing import Any

import numpy as np

from gym_jax.data.panel import Panel

CORRELATED = 0.5


def describe_panel(panel: Panel) -> dict[str, Any]:
    """Return plain JSON: size, span, lengths, every channel's distribution in its own units, static columns, season."""
    last = panel.stamps(np.arange(len(panel.series)), panel.offsets[1:] - 1)
    lengths = panel.lengths
    return {
        "series": len(panel.series),
        "rows": len(panel.values),
        "step": panel.describe_step(),
        "zone": panel.zone,
        "from": _time(panel, int(panel.first.min())),
        "to": _time(panel, int(last.max())),
        "rows_per_series": {
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        "channels": [_channel(panel, channel) for channel in range(len(panel.channels))],
        "static": [_static(panel, place) for place in range(len(panel.static_names))],
        "categories": [_category(panel, place) for place in range(len(panel.category_names))],
        "season": season_of(panel),
        "notes": list(panel.notes),
    }


def _time(panel: Panel, stamp: int) -> str | int:
    return str(np.datetime64(stamp, "ns"))[:19] if panel.clock == "ns" else stamp


def _channel(panel: Panel, channel: int) -> dict[str, Any]:
    seen = panel.mask[:, channel]
    values = panel.values[seen, channel]
    known = len(panel.channels) - panel.known
    role = "target" if channel < panel.targets else "known" if channel >= known else "past"
    facts: dict[str, Any] = {"name": panel.channels[channel], "role": role, "missing": float(1 - seen.mean())}
    if not len(values):
        return facts
    median, high = np.quantile(values, [0.5, 0.95])
    return facts | {
        "min": float(values.min()),
        "mean": float(values.mean()),
        "median": float(median),
        "p95": float(high),
        "max": float(values.max()),
        "zero": float((values == 0).mean()),
        "negative": int((values < 0).sum()),
    }


def _static(panel: Panel, place: int) -> dict[str, Any]:
    assert panel.static is not None
    values = panel.static[:, place]
    given = values[~np.isnan(values)]
    facts = {"name": panel.static_names[place], "missing": int(np.isnan(values).sum())}
    return facts | ({"min": float(given.min()), "max": float(given.max())} if len(given) else {})


def _category(panel: Panel, place: int) -> dict[str, Any]:
    assert panel.categories is not None
    words, counts = np.unique(panel.categories[:, place].astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:10]
    top = {str(words[i]): int(counts[i]) for i in order}
    return {"name": panel.category_names[place], "words": len(words), "most_common": top}


def season_of(panel: Panel) -> dict[str, Any] | None:
    """Return how alike a season is to the one before it: the autocorrelation of the first target in each series."""
    season = panel.season()
    if season == 1:
        return None
    found = autocorrelation(panel, season)
    found = found[~np.isnan(found)]
    if not len(found):
        return None
    share = float((found > CORRELATED).mean())
    return {"steps": season, "median_autocorrelation": float(np.median(found)), "share_above_0.5": share}


def autocorrelation(panel: Panel, lag: int) -> np.ndarray:
    """Return the correlation of the first target with itself `lag` rows before, per series; NaN where it has none."""
    values, seen = panel.values[:, 0], panel.mask[:, 0]
    owner = np.repeat(np.arange(len(panel.series)), panel.lengths)
    rows = max(len(values) - lag, 0)
    pairs = np.flatnonzero(seen[lag:] & seen[:rows] & (owner[lag:] == owner[:rows]))
    early, late, own = values[pairs], values[pairs + lag], owner[pairs]
    count = np.bincount(own, minlength=len(panel.series))
    safe = np.maximum(count, 1)

    def total(x: np.ndarray) -> np.ndarray:
        return np.bincount(own, weights=x, minlength=len(panel.series))

    early, late = early - (total(early) / safe)[own], late - (total(late) / safe)[own]
    spread = np.sqrt(total(early**2) * total(late**2))
    flat = spread <= 1e-12 * np.maximum(total(np.abs(early)) + total(np.abs(late)), np.finfo(float).tiny)
    return np.where(flat | (count < 3), np.nan, total(early * late) / np.where(flat, 1, spread))
