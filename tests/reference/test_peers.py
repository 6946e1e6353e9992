"""Recorded answers of other libraries against the libraries themselves: `pytest -m peers`, with the extra `peers`."""

import json

import numpy as np
import pytest
from tolerances import PEER

pytestmark = pytest.mark.peers


def leaves(document):
    """Every list of numbers of a JSON document, by its path."""
    if not isinstance(document, dict):
        return {"": np.array(document, np.float64)}
    return {f"{key}/{path}": leaf for key, value in document.items() for path, leaf in leaves(value).items()}


def test_the_recorded_lstm_is_what_pytorch_answers_today():
    from reference import make_lstm

    recorded, live = leaves(json.loads(make_lstm.PATH.read_text())), leaves(make_lstm.answers())
    assert recorded.keys() == live.keys()
    for path, expected in live.items():
        np.testing.assert_allclose(recorded[path], expected, rtol=0, atol=PEER * np.abs(expected).max(), err_msg=path)
