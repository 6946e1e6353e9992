"""`gymjax report`: its files, its document, its errors."""

import json

import pytest

from gym_jax.cli import main

SMALL = [
    *("--epochs=1", "--horizon=4", "--context=12", "--batch-size=32", "data.stride=8", "model.hidden=[4]", "-q"),
    *("data.synthetic.series=2", "data.synthetic.days=1.5", "evaluate.baselines=[]"),
]


def test_report_writes_a_page_and_pictures_and_prints_one_document(trained_here, capsys):
    assert main(["report", "a", "--html", "page.html", "--plots", "figures", "--windows", "40", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == "drawing\n"
    assert document["command"] == "report"
    assert document["runs"] == [str(trained_here / "runs" / "a")]
    assert document["html"] == str(trained_here / "page.html")
    assert document["bytes"] == (trained_here / "page.html").stat().st_size
    assert {"trained", "scores", "training", "forecasts", "reproduce"} <= set(document["parts"])
    names = sorted(path.name for path in (trained_here / "figures").iterdir())
    assert sorted(document["plots"]) == [str(trained_here / "figures" / name) for name in names]
    assert {"training_curves.png", "forecast_bands.png", "predicted_actual.png"} <= set(names)
    assert (trained_here / "figures" / names[0]).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert {path.name for path in trained_here.iterdir()} == {"runs", "page.html", "figures"}


def test_people_are_told_where_it_is(trained_here, capsys):
    assert main(["report", "latest", "--plots", "dark", "--format", "svg", "--dark", "--windows", "40"]) == 0
    out, err = capsys.readouterr()
    assert err == "drawing\n"
    assert out.startswith("pictures: ")
    assert out.endswith(" in dark\n")
    assert "#14171c" in (trained_here / "dark" / "training_curves.svg").read_text()


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["b", "--html", "b.html"], 4, "error: no run at `b`"),
        (["a"], 2, "error: there is nothing to write"),
        (["a", "--html", "page.txt"], 2, "error: --html page.txt is of no kind that is written"),
        (["a", "--html", "gone/page.html"], 2, "error: --html gone/page.html can not be written"),
        (["a", "--html", "b.html", "--target", "cpu"], 2, "error: a does not answer with `cpu`"),
        (["a", "a", "--html", "b.html"], 2, "error: a is named twice"),
    ],
    ids=["missing", "nothing", "ending", "folder", "target", "twice"],
)
def test_wrong_words_get_three_lines(trained_here, capsys, words, code, error):
    before = {path.name for path in trained_here.iterdir()}
    assert main(["report", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.rstrip("\n").split("\n")
    assert [line.split(":")[0] for line in lines] == ["error", "hint", "try"]
    assert lines[0].startswith(error)
    assert {path.name for path in trained_here.iterdir()} == before
