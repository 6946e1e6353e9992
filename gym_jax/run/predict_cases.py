"""Answers of a run of cases: the rows of a table with further columns, or a row for every sequence."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gym_jax.config.schema import Config
from gym_jax.data.formats import open_table
from gym_jax.data.formats.arrow import open_frame
from gym_jax.data.read import find_files
from gym_jax.data.read_table import raw_frame
from gym_jax.data.tabular import generate_table
from gym_jax.data.words import named
from gym_jax.run.assemble import build_columns
from gym_jax.run.score_cases import said_of

if TYPE_CHECKING:
    from gym_jax.run.load import Trained

SPREAD = "_spread"
"""Ending of the column that says how far the members of a group lie apart."""


def predict_cases(trained: "Trained") -> pd.DataFrame:
    """Return a frame with a row per case: of a table its own columns, of sequences their ids, and what is answered.

    Numbers stand in `predicted_TARGET`, their quantiles in `predicted_TARGET_q0.9`; a class in `predicted_LABEL`, and
    how likely each is in `probability_CLASS`. Of several seeds the mean answers, and `predicted_TARGET_spread` is the
    standard deviation of their numbers.
    """
    config, prepared = trained.config, trained.prepared
    whole = prepared._replace(parts=prepared.parts._replace(test=np.arange(len(prepared.cases))))
    said = said_of(config, whole, trained.model, list(trained.members), "test")
    mean = np.mean(said, axis=0)
    names = prepared.cases.target_names or config.data.target
    answers: dict[str, np.ndarray] = {}
    if config.task.kind == "classify":
        classes = prepared.learnt.classes
        answers[f"predicted_{names[0]}"] = np.array(classes, object)[mean.argmax(axis=1)]
        answers |= {f"probability_{word}": mean[:, code] for code, word in enumerate(classes)}
    else:
        endings, _ = build_columns(config)
        for column, name in enumerate(names):
            answers |= {f"predicted_{name}{ending}": mean[:, column, k] for k, ending in enumerate(endings)}
            if trained.seeds:
                points = np.stack(said)[:, :, column, 0]
                spread = points.std(axis=0, ddof=1) if len(said) > 1 else np.full(len(mean), np.nan)
                answers[f"predicted_{name}{SPREAD}"] = spread
    frame = _table(config)
    if prepared.cases.sequences:
        assert prepared.cases.names is not None
        frame = pd.DataFrame({prepared.cases.id_name: np.array(prepared.cases.names, object)})
    return frame.drop(columns=[name for name in answers if name in frame]).assign(**answers)


def _table(config: Config) -> pd.DataFrame:
    """Return the rows of the data as they stand in their files, or as they are generated."""
    if config.data.path is None:
        return raw_frame({"": open_frame(generate_table(seed=config.data.synthetic.seed))})
    return raw_frame({named(file): open_table(file, config.data) for file in find_files(config.data.path)})
