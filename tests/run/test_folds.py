"""Cross-validation and backtest: a fold is its own run, in one program or alone, and time only goes on."""

import json

import chex
import numpy as np
import pytest
from small import small_config
from tolerances import PLACEMENT

from gym_jax.cli import main
from gym_jax.data.folds import make_folds
from gym_jax.errors import ConfigError, DataError
from gym_jax.run.assemble import load_panel
from gym_jax.run.backtest import backtest
from gym_jax.run.cross_validate import cross_validate
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.folds import make_fold, train_folds
from gym_jax.run.train import train_run
from gym_jax.types import Mean

STEADY = ("model.dropout=0", "data.synthetic.gaps=0", "train.epochs=3", "optim=sgd", "optim.lr=0.1")


def settings(root, *more):
    return small_config(root, "mlp", *STEADY, *more)


def test_the_last_fold_is_the_run_of_its_split(tmp_path):
    """Three folds of 864 rows: the last trains on 584 rows, validates on 64 and is tested on 216."""
    found = cross_validate(settings(tmp_path), folds=3)
    split = ["data.split.kind=steps", "data.split.val_steps=64", "data.split.test_steps=216"]
    result = train_run(settings(tmp_path, *split), folder=tmp_path / "run")
    last, scores = found["folds"][-1], result.scores
    assert last["test_windows"] == scores["windows"]
    assert last["best_epoch"] == result.best["epoch"]
    for metric in ("mae", "rmse", "mase"):
        assert last["targets"]["cpu_cores"][metric] == pytest.approx(
            scores["model"]["targets"]["cpu_cores"][metric], rel=1e-4
        )
    assert last["baselines"]["last"]["cpu_cores"]["mae"] == scores["baselines"]["last"]["cpu_cores"]["mae"]
    values = [fold["targets"]["cpu_cores"]["mae"] for fold in found["folds"]]
    spread = found["targets"]["cpu_cores"]["mae"]
    assert spread["mean"] == pytest.approx(np.mean(values))
    assert spread["sd"] == pytest.approx(np.std(values, ddof=1))


def test_folds_in_one_program_are_those_trained_alone(tmp_path):
    """The first has fewer windows, because it has nothing to look back on; a last batch of each is ragged."""
    config = settings(tmp_path, "train.batch_size=24")
    panel = load_panel(config)
    folds = [make_fold(config, panel, split, "fold") for split in make_folds(panel, "sliding", 3)]
    assert len({fold.steps(config) for fold in folds}) == 1, "one program for all"
    assert len({len(fold.train) for fold in folds}) > 1
    together = train_folds(config, folds)
    for fold, mine in zip(folds, together, strict=True):
        (alone,) = train_folds(config, [fold])
        chex.assert_trees_all_close(mine.variables, alone.variables, atol=10 * PLACEMENT, rtol=0)
        assert (mine.epochs, mine.best_epoch) == (alone.epochs, alone.best_epoch)


def test_poison_behind_a_fold_changes_nothing(tmp_path):
    config = settings(tmp_path)
    panel = load_panel(config)
    split = make_folds(panel, "expanding", 3)[0]
    values = panel.values.copy()
    for begin, end in zip(split.test.begin, panel.offsets[1:], strict=True):
        values[begin:end] = np.nan
    (clean,) = train_folds(config, [make_fold(config, panel, split, "fold")])
    spoilt = panel.__class__(**{**panel.__dict__, "values": values})
    (other,) = train_folds(config, [make_fold(config, spoilt, split, "fold")])
    chex.assert_trees_all_equal(clean.variables, other.variables)


def test_cv_prints_a_table_of_folds_and_one_document(tmp_path, capsys):
    words = ["data.synthetic.series=4", "data.synthetic.days=2", "task.context=12", "task.horizon=3", "model=last"]
    command = ["cv", *words, "evaluate.baselines=[linear]", "--folds", "2"]
    assert main([*command, "--kind", "series", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [len(document["folds"]), document["kind"]] == [2, "series"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "cpu_cores: 2 folds, expanding" in out
    assert "mean ± standard deviation over 2" in out


def test_folds_that_can_not_be_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown folds `expandin`"):
        cross_validate(settings(tmp_path), kind="expandin")
    with pytest.raises(ConfigError, match="9 folds of 3 series"):
        cross_validate(settings(tmp_path), kind="series", folds=9)
    with pytest.raises(ConfigError, match="schedule=plateau does not go with folds"):
        cross_validate(settings(tmp_path, "schedule=plateau"), folds=2)
    for word in ("train.on_nan=skip", "train.loss_jump=20"):
        with pytest.raises(ConfigError, match=r"train\.on_nan and train\.loss_jump do not go with folds"):
            cross_validate(settings(tmp_path, word), folds=2)
    with pytest.raises(DataError, match="fold 1 has no train window"):
        cross_validate(settings(tmp_path), folds=40)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("backtest")
    return RunFolder(train_run(settings(root), folder=root / "run").folder)


def test_the_blocks_of_a_run_make_up_its_test_part(run):
    whole = evaluate_run(run)["model"]["targets"]["cpu_cores"]
    (one,) = backtest(run, origins=1)["folds"]
    assert one["targets"]["cpu_cores"]["mae"] == pytest.approx(whole["mae"], rel=1e-9)
    found = backtest(run, every=58)
    assert len(found["folds"]) == 3
    assert [fold["refit"] for fold in found["folds"]] == [False] * 3
    assert sorted({fold["from"] for fold in found["folds"]}) == [fold["from"] for fold in found["folds"]]
    held = [fold["intervals"]["cpu_cores"][0]["coverage"] for fold in found["folds"]]
    assert np.mean(held) == pytest.approx(0.8, abs=0.1)


def test_refitting_takes_up_what_has_come(run):
    grown = backtest(run, origins=4, refit=2)["folds"]
    assert [fold["refit"] for fold in grown] == [False, False, True, False]
    assert grown[2]["train_windows"] > grown[0]["train_windows"] == grown[1]["train_windows"]
    slid = backtest(run, origins=4, refit=2, grow="sliding")["folds"]
    assert slid[2]["train_windows"] < grown[2]["train_windows"]
    never = backtest(run, origins=4)["folds"]
    for place in (0, 1):
        assert grown[place]["targets"] == never[place]["targets"], "before the first refit it is the run"
    assert grown[2]["targets"] != never[2]["targets"]


def test_a_configuration_is_trained_at_the_first_origin(run, tmp_path, capsys):
    found = backtest(config=settings(tmp_path), origins=2)
    assert [fold["refit"] for fold in found["folds"]] == [True, False]
    kept = backtest(run, origins=2)["folds"]
    for mine, theirs in zip(found["folds"], kept, strict=True):
        assert mine["targets"]["cpu_cores"]["mae"] == pytest.approx(theirs["targets"]["cpu_cores"]["mae"], rel=1e-3)
    assert main(["backtest", str(run.path), "--origins", "2"]) == 0
    assert "cpu_cores: 2 origins, never refit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--origins", "9999"], "9999 origins in a test part of"),
        (["--refit", "often"], "--refit often is no number"),
        (["--refit", "0"], "--refit 0"),
    ],
)
def test_origins_that_can_not_be_are_refused(words, message, run, capsys):
    assert main(["backtest", str(run.path), *words]) == 2
    assert message in capsys.readouterr().err
    assert main(["backtest"]) == 2


@pytest.mark.slow
def test_what_becomes_of_a_fold_after_its_end_is_of_no_account(tmp_path, monkeypatch):
    """The first has its best epoch first and waits no longer than one; then its loss is lost."""
    values = iter([[1.0, 1.0, 1.0], [2.0, 0.9, 0.9], [np.nan, 0.8, 0.8]])
    monkeypatch.setattr(
        "gym_jax.run.folds.make_many_evaluation",
        lambda *_, **__: lambda *_: {"loss": Mean(np.array([next(values)]), np.ones((1, 3)))},
    )
    config = settings(tmp_path, "train.patience=1", "train.batch_size=24")
    panel = load_panel(config)
    folds = [make_fold(config, panel, split, "fold") for split in make_folds(panel, "sliding", 3)]
    assert [(fitted.epochs, fitted.best_epoch) for fitted in train_folds(config, folds)] == [
        (2, 1),
        (3, 3),
        (3, 3),
    ]
