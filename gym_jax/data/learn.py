"""What train cases teach before a model sees any: scalers, vocabularies, classes, the length of a sequence."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.data.cases import Cases
from gym_jax.data.scale import STATISTICS, ScaleKind, Scaler, fit_columns
from gym_jax.data.static import StaticEncoder, fit_static
from gym_jax.data.words import listed, shown
from gym_jax.errors import DataError


class Learnt(NamedTuple):
    """Learnt from train cases only; saved with the run.

    >>> learnt = learn(cases, kind="minmax")
    >>> values, mask = learnt.scaled(cases)
    >>> values[:, 0, 0].round(2).tolist()
    [0.0, 0.33000001311302185, 0.6700000166893005, 1.0]
    >>> Learnt.from_json(learnt.to_json()).steps
    1
    """

    scaler: Scaler
    """Of the channels; one row for all cases. Where each sequence is scaled by itself it is not used."""
    target: Scaler
    """Of the numbers asked for; nothing for labels."""
    encoder: StaticEncoder
    """Scales static numbers, and gives words their places."""
    steps: int
    """Of the longest train sequence."""
    classes: tuple[str, ...] = ()
    """Every label of the train cases, in the order of the model's outputs; none where numbers are asked for."""
    alone: ScaleKind | None = None
    """How each sequence is scaled by its own values; None: all by those of the train cases."""

    def scaled(
        self, cases: Cases
    ) -> tuple[Float[np.ndarray, "cases steps channels"], Bool[np.ndarray, "cases steps channels"]]:
        """Return the sequences as models see them, float32 and 0 where nothing was observed, and their mask."""
        cases = cases.with_steps(self.steps)
        scaler, owner = self.scaler, np.zeros(len(cases), np.int64)
        if self.alone is not None:
            scaler, owner = _scale_alone(cases, self.alone), np.arange(len(cases))
        flat = cases.values.reshape(-1, len(cases.channels))
        made = scaler.transform(flat, np.repeat(owner, self.steps)).reshape(cases.values.shape)
        return np.where(cases.mask, made, np.float32(0)), cases.mask.copy()

    def answers(self, cases: Cases) -> tuple[np.ndarray, Bool[np.ndarray, "cases targets"]]:
        """Return the answers as models give them, and whether each is known: scaled numbers, or places of classes.

        Both have the shape [cases, targets]. Raises DataError at a label that no train case has.
        """
        if cases.labels is None:
            assert cases.targets is not None
            shape = len(cases), self.target.shift.shape[1]
            asked = np.broadcast_to(cases.targets, shape)  # without answers there is one column, whatever is asked
            known = ~np.isnan(asked)
            values = self.target.transform(np.where(known, asked, 0), np.zeros(len(cases), np.int64))
            return np.where(known, values, np.float32(0)), known
        codes = self.codes(cases)
        return codes[:, None], (codes >= 0)[:, None]

    def codes(self, cases: Cases) -> Int[np.ndarray, " cases"]:
        """Return the place of each label among the classes, -1 where it is missing. Raises DataError at a new one."""
        assert cases.labels is not None
        place = {word: code for code, word in enumerate(self.classes)} | {"": -1}
        if unknown := [word for word in dict.fromkeys(cases.labels.tolist()) if word not in place]:
            raise DataError(
                f"no train case has the class `{shown(unknown[0])}` of `{cases.target_names[0]}`",
                hint=f"the classes of the train part are {listed(self.classes)}",
                code="data.class",
            )
        return np.array([place[word] for word in cases.labels], np.int32)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; floats keep every bit."""
        return {
            "scaler": self.scaler.to_json(),
            "target": self.target.to_json(),
            "encoder": self.encoder.to_json(),
            "steps": self.steps,
            "classes": list(self.classes),
            "alone": self.alone,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Learnt":
        """Return what `to_json` wrote."""
        return cls(
            Scaler.from_json(document["scaler"]),
            Scaler.from_json(document["target"]),
            StaticEncoder.from_json(document["encoder"]),
            document["steps"],
            tuple(document["classes"]),
            document["alone"],
        )


def learn(cases: Cases, *, kind: ScaleKind = "standard", log1p: bool = False, alone: bool = False) -> Learnt:
    """Return what train cases teach. `log1p` is of the targets; `alone` scales each sequence by its own values.

    Raises DataError on a target that has no logarithm, on fewer than two classes, and on `alone` of rows of a table.

    >>> learn(cases, kind="minmax").scaler.scale.tolist()
    [[6.0, 6.0]]
    >>> from dataclasses import replace
    >>> learn(replace(cases, targets=None, labels=np.array(["no", "yes", "no", "yes"], object))).classes
    ('no', 'yes')
    """
    if alone and not cases.sequences:
        raise DataError(
            "a row of a table can not be scaled by itself",
            hint="it has one value a column; data.scale.scope=global scales each column over the train rows",
            attempt="gymjax train ... data.scale.scope=global",
            code="data.scope",
        )
    width, observed = len(cases.channels), cases.mask.any(axis=(0, 2))
    steps = cases.values.shape[1] - int(np.argmax(observed)) if observed.any() else cases.values.shape[1]
    values, mask = cases.values.reshape(-1, width), cases.mask.reshape(-1, width)
    scaler = fit_columns(values, mask, cases.channels, kind="none" if alone else kind)
    everyone = np.ones(len(cases), bool)
    learnt = Learnt(scaler, scaler, fit_static(cases, everyone), steps, (), kind if alone else None)
    if cases.labels is None:
        assert cases.targets is not None
        known = ~np.isnan(cases.targets)
        target = fit_columns(np.where(known, cases.targets, 0), known, cases.target_names, kind=kind, log1p=log1p)
        return learnt._replace(target=target)
    classes = sorted({*cases.labels.tolist()} - {""}, key=_rank)
    if len(classes) < 2:
        raise DataError(
            f"the train cases have {len(classes)} class{'' if len(classes) == 1 else 'es'} of "
            f"`{cases.target_names[0]}`: {listed(classes) or 'none'}",
            hint="there is something to tell apart from two on",
            code="data.class",
        )
    nothing = fit_columns(np.zeros((0, 1)), np.zeros((0, 1), bool), cases.target_names, kind="none")
    return learnt._replace(target=nothing, classes=tuple(classes))


def with_room(
    past: Float[np.ndarray, "cases steps channels"], mask: Bool[np.ndarray, "cases steps channels"], targets: int
) -> tuple[Float[np.ndarray, "cases steps wider"], Bool[np.ndarray, "cases steps wider"]]:
    """Return sequences with as many channels as `targets` at least: models take the first for the past of these."""
    if (lacking := targets - past.shape[2]) > 0:
        past, mask = (np.pad(part, ((0, 0), (0, 0), (0, lacking))) for part in (past, mask))
        mask[..., -lacking:] = mask.any(axis=2, keepdims=True)
    return past, mask


def _rank(word: str) -> tuple[bool, float, str]:
    """Numbers come first, by size."""
    from gym_jax.data.formats.table import is_number  # not above: it brings everything that reads files

    return (False, float(word), word) if is_number(word) else (True, 0.0, word)


def _scale_alone(cases: Cases, kind: ScaleKind) -> Scaler:
    """Return a row for each sequence, of its own observed values."""
    shape = (len(cases), len(cases.channels))
    shift, scale = np.zeros(shape), np.ones(shape)
    for channel in range(shape[1]) if kind != "none" else ():
        seen = cases.mask[..., channel]
        offsets = np.concatenate([[0], np.cumsum(seen.sum(axis=1))])
        if offsets[-1]:
            middle, spread = STATISTICS[kind](cases.values[..., channel][seen], offsets)
            some = seen.any(axis=1)  # of nothing observed there are no statistics
            shift[some, channel], scale[some, channel] = middle[some], spread[some]
    return Scaler(shift, scale)
