"""Data that do not fit in memory, once they have been surveyed: any piece is read again as all together taught."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.clip import Bounds
from gym_jax.data.findings import Finding
from gym_jax.data.groups import series_rank
from gym_jax.data.panel import Panel
from gym_jax.data.preprocess import Fitted, make_channels
from gym_jax.data.split import Part, Split, split_by_rank, split_panel
from gym_jax.data.store import Store, read_piece
from gym_jax.run.assemble import Prepared, season_of
from gym_jax.run.coming import coming_of
from gym_jax.run.folder import RunFolder

SURVEY = "survey.json"
"""What a run keeps of the first pass over data that do not fit in memory."""
PARTS: tuple[Part, ...] = ("train", "val", "test")


class Share(NamedTuple):
    """What one piece brings: its series that are kept, and what its parts need."""

    kept: tuple[int, ...]
    """Places of the kept series in the panel of the piece."""
    rows: dict[str, int]
    """Part -> rows that its windows reach."""
    windows: dict[str, int]


class Survey(NamedTuple):
    """What the first pass has found."""

    shares: tuple[Share, ...]
    series: tuple[str, ...]
    fitted: Fitted
    observed: dict[str, bool]
    """Part -> whether every value of every window was observed."""
    filled: bool
    """Whether anything was imputed from seasons before."""
    used_until: list[int]
    rows: int
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    portion: int = 0
    """Rows of a chunk, at most: settled once, because it depends on the devices that were there."""

    def to_json(self) -> dict[str, Any]:
        """Return what a run keeps beside its facts, which hold the series and what is fitted."""
        shares = [[list(share.kept), share.rows, share.windows] for share in self.shares]
        kept = {name: getattr(self, name) for name in ("observed", "filled", "rows", "portion")}
        return {"shares": shares, **kept}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], facts: Mapping[str, Any]) -> "Survey":
        """Return what `to_json` wrote, with the facts of the same run."""
        return cls(
            tuple(Share(tuple(kept), rows, windows) for kept, rows, windows in document["shares"]),
            tuple(facts["series"]),
            Fitted.from_json(dict(facts)),
            document["observed"],
            document["filled"],
            facts["used_until"],
            document["rows"],
            tuple(facts["notes"]),
            portion=document["portion"],
        )


def known_of(run: RunFolder) -> dict[str, Any] | None:
    """Return what a run keeps of its data, so that they need not be surveyed again; None of resident ones."""
    survey = run.read_json(SURVEY)
    return {**run.read_json("data.json"), "survey": survey} if survey else None


class Streamed(NamedTuple):
    """Data in a store, ready to be read piece by piece into windows."""

    store: Store
    ranks: Mapping[str, int]
    """Place of each series among all, where whole series are split; else empty."""
    survey: Survey
    sample: Prepared
    """One series, which lends its shapes."""

    @property
    def season(self) -> int:
        """Steps of a season."""
        return self.sample.season

    def own(self, number: int) -> slice:
        """Return where the series of a piece are among all."""
        begin = sum(len(share.kept) for share in self.survey.shares[:number])
        return slice(begin, begin + len(self.survey.shares[number].kept))


def ranks_of(config: Config, store: Store) -> dict[str, int]:
    """Return the place of every series among all, where the split is by series."""
    split = config.data.split
    if split.kind != "series":
        return {}
    names = [name for piece in store.pieces for name in piece.series]
    return dict(zip(names, series_rank(names, split.seed, split.group).tolist(), strict=True))


def divide(config: Config, panel: Panel, ranks: Mapping[str, int]) -> Split:
    """Return the split of some of the series, as it is for all of them together."""
    splitting = config.data.split
    if ranks:
        own = np.array([ranks[name] for name in panel.series], np.int64)
        return split_by_rank(panel, own, len(ranks), train=splitting.train, val=splitting.val)
    return split_panel(panel, splitting, empty="keep")


def prepare_share(config: Config, streamed: Streamed, number: int) -> Prepared:
    """Read a piece and return its kept series with what all train rows have taught."""
    share, survey = streamed.survey.shares[number], streamed.survey
    panel = read_piece(streamed.store, streamed.store.pieces[number])
    if len(share.kept) < len(panel.series):
        panel = panel.select(share.kept)
    return apply(config, panel, streamed.ranks, of_rows(survey.fitted, streamed.own(number)))


def apply(config: Config, panel: Panel, ranks: Mapping[str, int], fitted: Fitted) -> Prepared:
    """Return a panel ready to be cut into windows, with what is fitted for its series."""
    channels = make_channels(panel, config.data, fitted.bounds, horizon=config.task.horizon)
    split = divide(config, panel, ranks)
    return Prepared(panel, channels, split, fitted, season_of(config, panel), coming_of(config, panel))


def of_rows(fitted: Fitted, own: slice) -> Fitted:
    """Return what is fitted for a run of series."""
    bounds = fitted.bounds and Bounds(*(limit[own] for limit in fitted.bounds))
    return fitted._replace(scaler=fitted.scaler.select(np.arange(own.start, own.stop)), bounds=bounds)


def room_of(config: Config, prepared: Prepared) -> int:
    """Return the rows that windows may look back, at most."""
    return max(config.task.context, prepared.season, 0 if prepared.coming is None else config.task.horizon)


def reach(prepared: Prepared, part: Part, owner: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Return from which row of every series to which the windows of a part reach; none of a series without one."""
    span, offsets = getattr(prepared.split, part), prepared.panel.offsets
    some = np.bincount(owner, minlength=len(offsets) - 1) > 0
    begin = np.maximum(span.begin - room, offsets[:-1])
    return begin, np.where(some, span.end, begin)
