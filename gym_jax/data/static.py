"""Numbers and words that belong to a series as a whole, made ready for a model."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from gym_jax.data.scale import without_rounding


@runtime_checkable
class Described(Protocol):
    """What has numbers and words of each of its series or cases: a Panel, or Cases."""

    @property
    def static(self) -> Float[np.ndarray, "series features"] | None:
        """Numbers; NaN where missing."""

    @property
    def categories(self) -> Shaped[np.ndarray, "series kinds"] | None:
        """Words; the empty one where missing."""


class StaticEncoder(NamedTuple):
    """`encoded = (number - shift) / scale`, 0 where missing; words by their place in a vocabulary, from 1."""

    shift: Float[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]
    vocabularies: tuple[tuple[str, ...], ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many words each category knows; its codes go from 0, unseen or missing, to that number."""
        return tuple(map(len, self.vocabularies))

    def encode(
        self, panel: Described
    ) -> tuple[Float[np.ndarray, "series features"] | None, Int[np.ndarray, "series kinds"] | None]:
        """Return float32 numbers and int32 codes of every series, None where the panel has no such column."""
        numbers = codes = None
        if panel.static is not None:
            scaled = (panel.static - self.shift) / self.scale
            numbers = np.where(np.isnan(scaled), 0, scaled).astype(np.float32)
        if panel.categories is not None:
            codes = np.zeros(panel.categories.shape, np.int32)
            for kind, vocabulary in enumerate(self.vocabularies):
                place = {word: code for code, word in enumerate(vocabulary, start=1)}
                codes[:, kind] = [place.get(word, 0) for word in panel.categories[:, kind]]
        return numbers, codes

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; floats keep every bit."""
        return {
            "shift": self.shift.tolist(),
            "scale": self.scale.tolist(),
            "vocabularies": [list(words) for words in self.vocabularies],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "StaticEncoder":
        """Return the encoder that `to_json` wrote."""
        shift, scale = (np.array(document[key], np.float64) for key in ("shift", "scale"))
        return cls(shift, scale, tuple(tuple(words) for words in document["vocabularies"]))


def fit_static(panel: Described, use: Bool[np.ndarray, " series"]) -> StaticEncoder:
    """Fit on the series in `use` (those with train rows): mean, population deviation and the words seen, sorted.

    A constant number keeps scale 1; one that all of them miss stays as it is.
    """
    numbers = np.zeros((0, 0)) if panel.static is None else panel.static[use]
    seen = ~np.isnan(numbers)
    safe = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, numbers, 0.0).sum(axis=0) / safe
    deviation = np.sqrt((np.where(seen, numbers - mean, 0.0) ** 2).sum(axis=0) / safe)
    words = [] if panel.categories is None else panel.categories[use].T.tolist()
    return StaticEncoder(
        mean, without_rounding(deviation, mean, 1.0), tuple(tuple(sorted({*kind} - {""})) for kind in words)
    )
