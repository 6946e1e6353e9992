"""`gymjax explain`: its tables, its document, its chart, its errors."""

import json

import pytest

from gym_jax.cli import main
from gym_jax.report.explanation import explanation

SMALL = [
    *("--epochs=1", "--horizon=4", "--context=12", "--batch-size=32", "data.stride=8", "model.hidden=[4]", "-q"),
    *("data.synthetic.series=3", "data.synthetic.days=3", "evaluate.baselines=[last]", "data.calendar=[day]"),
]
FEW = ["--windows=40", "--repeats=2"]


def test_explain_says_what_matters_draws_and_prints_one_document(trained_here, capsys):
    assert main(["explain", "a", *FEW, "--chart", "why.png", "-o", "why.json", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert (document["command"], document["chosen"]) == ("explain", 40)
    assert {row["name"] for row in document["importance"]["inputs"]} == {"cpu_cores", "day_sin", "day_cos"}
    assert [row["name"] for row in document["importance"]["lags"]] == ["1", "2", "3-4", "5-8", "9-12"]
    assert (trained_here / "why.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert json.loads((trained_here / "why.json").read_text())["importance"] == document["importance"]
    assert {path.name for path in trained_here.iterdir()} == {"runs", "why.png", "why.json"}
    figure = explanation(document)
    assert [len(panel.patches) for panel in figure.axes][:2] == [3, 5]
    assert figure.axes[3].lines[0].get_ydata().tolist() == document["by_horizon"]["mae"]


def test_people_read_tables(trained_here, capsys):
    assert main(["explain", "latest", *FEW, "--metric", "rmse", "--part", "val"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("cpu_cores: val, 40 of ")
    assert "; rmse " in out.splitlines()[0]
    for title in ("the same of lags", "errors by horizon", "errors by hour of the day", "worst of 3 series"):
        assert f"\n{title}" in out
    assert "attribution: share of the integrated gradients of the mean over the horizon; they miss " in out


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["b"], 4, "error: no run at `b`"),
        (["a", "--chart", "why.jpeg"], 2, "error: --chart why.jpeg is of no kind that is drawn"),
        (["a", "--chart", "gone/why.png"], 2, "error: --chart gone/why.png can not be written"),
        (["a", "--metric", "mase"], 2, "error: `mase` is no metric to explain by"),
        (["a", "--target", "cpu"], 2, "error: the run does not forecast `cpu`"),
    ],
    ids=["missing", "ending", "folder", "metric", "target"],
)
def test_wrong_words_get_three_lines(trained_here, capsys, words, code, error):
    before = {path.name for path in trained_here.iterdir()}
    assert main(["explain", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.rstrip("\n").split("\n")
    assert [line.split(":")[0] for line in lines] == ["error", "hint", "try"]
    assert lines[0].startswith(error)
    assert {path.name for path in trained_here.iterdir()} == before
