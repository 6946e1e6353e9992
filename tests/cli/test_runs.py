"""`gymjax runs`: the field ranked among its likes, and what may go, goes; nothing else does."""

import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from small import small_config

from gym_jax.cli import main
from gym_jax.errors import CheckpointError, ConfigError, StorageError
from gym_jax.run import runs as folders
from gym_jax.run.folder import RunFolder
from gym_jax.run.runs import list_runs, open_run, remove_run


def make_run(
    root,
    name,
    *,
    mae: float | None = 1.0,
    r2=0.5,
    val_loss=0.5,
    model="mlp",
    horizon=4,
    status="done",
    sha="aa",
    windows=10,
    target="cpu",
    days=0.0,
    parent=None,
    **facts,
):
    """A run folder as training leaves it, `days` old."""
    run = RunFolder(root / name)
    run.path.mkdir(parents=True)
    config = small_config(root, model, f"task.horizon={horizon}").document()
    config["run"]["parent"] = parent
    run.write_config(config, "a run")
    run.write_json("data.json", {"files": [{"path": "/x/cpu.csv", "bytes": 1, "sha256": sha}], "step": 300})
    updated = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    run.write_json(
        "status.json",
        {"status": status, "epochs": 4, "steps": 40, "best": {"val_loss": val_loss}, "updated": updated, **facts},
    )
    if mae is not None:
        own = {"mae": mae, "rmse": 2 * mae, "r2": r2, "count": 40, "per_horizon": {"mae": [mae]}}
        model_scores = {"kind": model, "targets": {target: own, "memory": {**own, "mae": 10 - mae}}}
        scores = {"part": "test", "windows": windows, "season": 288, "model": model_scores, "baselines": {}}
        run.write_json("scores.json", {**scores, "notes": [], "verdict": "."})
    (run.path / "checkpoints").mkdir()
    begun = datetime.now().timestamp() - days * 86400 - 10 + len(list(root.iterdir())) / 100
    os.utime(run.path / "config.yaml", (begun, begun))
    return run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys, *arguments, code=0):
    assert main([str(word) for word in arguments]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else (out, err.rstrip().split("\n"))


def document(capsys, *arguments, code=0):
    assert main([*map(str, arguments), "--json"]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def names(runs="runs"):
    return {run.path.name for run in list_runs(runs)}


def test_the_best_run_stands_first_in_its_field(here, capsys):
    for name, mae, r2 in (("a", 0.3, 0.7), ("b", 0.2, 0.5), ("c", 0.25, 0.9), ("unfinished", 0.1, 1.0)):
        make_run(here / "runs", name, mae=mae, r2=r2, status="stopped" if name == "unfinished" else "done")
    found = document(capsys, "runs", "best")
    assert (found["best"], found["differ"], len(found["groups"])) == ("b", [], 1)
    assert [row["name"] for row in found["groups"][0]["ranked"]] == ["b", "c", "a"]
    assert document(capsys, "runs", "best", "--metric", "r2")["best"] == "c", "of r2 more is better"
    assert document(capsys, "runs", "best", "--target", "memory")["best"] == "a"
    lines = said(capsys, "runs", "best").splitlines()
    assert re.fullmatch(r"cpu\.csv [0-9a-f]{8}, cpu, horizon 4, 10 test windows", lines[0])
    assert lines[1].split() == ["name", "model", "mae", "behind", "rmse", "r2", "val_loss"]
    assert lines[3].split()[:5] == ["1", "b", "mlp", "0.2", "-"]
    assert lines[4].split()[:5] == ["2", "c", "mlp", "0.25", "+25.0%"]
    assert lines[6] == "best of 3: b"


@pytest.mark.parametrize(
    ("other", "differ"),
    [({"horizon": 8}, ["horizon"]), ({"sha": "bb"}, ["data"]), ({"windows": 11}, ["windows"])],
    ids=["horizon", "data", "windows"],
)
def test_runs_that_can_not_be_compared_are_not_ranked_together(here, capsys, other, differ):
    make_run(here / "runs", "a", mae=0.3)
    make_run(here / "runs", "b", mae=0.4)
    make_run(here / "runs", "other", mae=0.1, **other)
    found = document(capsys, "runs", "best")
    assert (found["best"], found["differ"]) == (None, differ)
    assert [group["best"] for group in found["groups"]] == ["a", "other"]
    assert said(capsys, "runs", "best").startswith(
        f"2 groups of runs that can not be compared, because they differ in {differ[0]}:"
    )


def test_the_validation_loss_is_compared_for_one_loss_only(here, capsys):
    make_run(here / "runs", "a", val_loss=0.3)
    changed = make_run(here / "runs", "b", val_loss=0.1)
    text = (changed.path / "config.yaml").read_text()
    (changed.path / "config.yaml").write_text(text.replace("kind: mae", "kind: mse"))
    assert document(capsys, "runs", "best", "--metric", "mae")["differ"] == []
    assert document(capsys, "runs", "best", "--metric", "val_loss")["differ"] == ["loss"]


def test_a_run_without_the_metric_comes_last(here, capsys):
    make_run(here / "runs", "a", r2=None)
    make_run(here / "runs", "b", r2=-3.0)
    assert [r["r2"] for r in document(capsys, "runs", "best", "--metric", "r2")["groups"][0]["ranked"]] == [-3.0, None]


def test_wrong_words_about_runs_are_answered(here, capsys):
    assert said(capsys, "runs", "best", code=4) == (
        "",
        ["error: no finished run to rank", "hint: a run has scores once it is done", "try: gymjax runs list"],
    )
    make_run(here / "runs", "a")
    assert said(capsys, "runs", "best", "--metric", "maee", code=2)[1] == [
        "error: no finished run has the metric `maee`",
        "hint: did you mean `mae`?",
        "try: gymjax runs best --metric mae",
    ]
    assert said(capsys, "runs", "best", "--target", "cpuu", code=2)[1][1] == "hint: did you mean `cpu`?"
    assert said(capsys, "runs", "list", "--status", "faild", code=2)[1][1] == "hint: did you mean `failed`?"
    assert said(capsys, "runs", "prune", "--older-than", "soon", code=2)[1] == [
        "error: --older-than soon is no length of time",
        "hint: write 90s, 30m, 1h30m, 1d or 2w",
        "try: gymjax runs prune --older-than 7d",
    ]
    assert said(capsys, "runs", "list", "--model", "mpl", code=2)[1][1] == "hint: did you mean `mlp`?"
    for words in (("--status", ""), ("--older-than", ""), ("--status", "failed,")):
        error = said(capsys, "runs", "prune", *words, "--keep", 0, "--yes", code=2)[1][0]
        assert error.endswith(("is not known", "is no length of time")), "an empty filter is no filter"
    assert names() == {"a"}
    assert said(capsys, "runs", "prune", code=2)[1][0] == "error: runs prune needs a criterion"


def test_the_list_is_sorted_cut_and_filtered(here, capsys):
    for name, mae, model, status in (
        ("x", 0.3, "mlp", "done"),
        ("y", None, "lstm", "failed"),
        ("z", 0.1, "lstm", "done"),
        ("w", 0.2, "mlp", "stopped"),
    ):
        make_run(here / "runs", name, mae=mae, model=model, status=status)

    def listed(*options):
        return "".join(row["name"] for row in document(capsys, "runs", "list", *options)["runs"])

    assert listed() == "xyzw"
    assert listed("--sort", "newest") == "wzyx"
    assert listed("--sort", "name") == "wxyz"
    assert listed("--sort", "test_mae") == "zwxy", "what has no value comes last"
    assert listed("--limit", 2) == "zw", "the newest two"
    assert listed("--sort", "test_mae", "--limit", 1) == "z"
    assert listed("--status", "failed,stopped") == "yw"
    assert listed("--model", "lstm", "--status", "done") == "z"


def test_show_names_the_weights_and_the_parent_when_there_are_some(here, capsys):
    make_run(here / "runs", "a", weights="ema", parent="b")
    make_run(here / "runs", "b")
    for name in ("a", "b"):
        path = here / "runs" / name / "scores.json"
        scores = json.loads(path.read_text())
        for block in scores["model"]["targets"].values():
            block |= {"smape": 1.0, "mase": 1.0}
        path.write_text(json.dumps(scores))
    rows = dict(line.split(None, 1) for line in said(capsys, "runs", "show", "a").splitlines() if " " in line)
    assert (rows["weights"], rows["parent"]) == ("ema", "b")
    shown = document(capsys, "runs", "show", "a")
    assert (shown["weights"], shown["parent"]) == ("ema", "b")
    words = [line.split()[0] for line in said(capsys, "runs", "show", "b").splitlines() if line]
    assert not {"weights", "parent"} & set(words)


def test_prune_says_what_would_go_and_removes_only_when_told(here, capsys):
    make_run(here / "runs", "a", mae=None, status="failed")
    make_run(here / "runs", "b", mae=None, status="stopped")
    make_run(here / "runs", "c")
    size = sum(path.stat().st_size for path in (here / "runs" / "a").rglob("*") if path.is_file())
    found = document(capsys, "runs", "prune", "--status", "failed")
    assert (found["removed"], found["bytes"]) == (False, size)
    assert found["runs"] == [{"name": "a", "status": "failed", "bytes": size}]
    assert names() == {"a", "b", "c"}, "nothing was removed"
    out = said(capsys, "runs", "prune", "--status", "failed,stopped")
    assert "would remove 2 runs" in out
    assert out.rstrip().endswith("nothing was removed: add --yes to remove")
    assert "removed 2 runs" in said(capsys, "runs", "prune", "--status", "failed,stopped", "--yes")
    assert [path.name for path in (here / "runs").iterdir()] == ["c"], "nothing is left behind, hidden or not"


def test_prune_keeps_the_newest_the_young_and_the_best(here, capsys):
    for age, mae in ((9, 0.1), (8, 0.5), (3, 0.4), (2, 0.3), (1, 0.2)):
        make_run(here / "runs", f"d{age}", mae=mae, days=age)

    def chosen(*options):
        found = document(capsys, "runs", "prune", *options)
        return {r["name"] for r in found["runs"]}, {r["name"]: r["why"] for r in found["kept"]}

    why = {"d9": "the best of those it can be compared with"}
    assert chosen("--older-than", "7d") == ({"d8"}, why)
    assert chosen("--older-than", "7d", "--all") == ({"d9", "d8"}, {})
    assert chosen("--keep", 2) == ({"d8", "d3"}, why)
    assert chosen("--keep", 0) == ({"d8", "d3", "d2", "d1"}, why)
    assert chosen("--keep", 9) == (set(), {})
    assert chosen("--keep", 1, "--older-than", "60h", "--all") == ({"d9", "d8"}, {})


@pytest.mark.posix
def test_prune_never_touches_what_is_not_ours_not_here_or_in_use(here, capsys):
    elsewhere = make_run(here / "elsewhere", "far", status="failed", mae=None)
    running = make_run(here / "runs", "busy", status="failed", mae=None)
    inner = make_run(here / "runs", "inner", status="failed", mae=None)
    (inner.path / "link").symlink_to(elsewhere.path)
    (here / "runs" / "linked").symlink_to(elsewhere.path)
    foreign = here / "runs" / "foreign"
    foreign.mkdir()
    (foreign / "config.yaml").write_text("model: {kind: mlp}\n")
    (foreign / "status.json").write_text('{"status": "failed"}')
    (here / "runs" / "notes").mkdir()
    (here / "runs" / "notes" / "thesis.txt").write_text("mine")
    with running.lock():
        assert "kept: busy, in use" in said(capsys, "runs", "prune", "--status", "failed")
        out = said(capsys, "runs", "prune", "--status", "failed", "--yes")
    assert "kept: busy, in use" in out
    assert "kept: foreign, not made by gymjax train, or damaged" in out
    assert "kept: linked, a symlink" in out
    assert {path.name for path in (here / "runs").iterdir()} == {"busy", "foreign", "linked", "notes"}
    assert (elsewhere.path / "config.yaml").is_file(), "a link in a run goes, what it leads to stays"
    for run, root in ((elsewhere, "runs"), (RunFolder(foreign), "runs"), (RunFolder(here / "runs" / "linked"), "runs")):
        with pytest.raises(ConfigError, match="is not removed"):
            remove_run(run, root)


def test_a_run_taken_up_between_choosing_and_removing_stays(here, capsys, monkeypatch):
    run = make_run(here / "runs", "a", status="failed", mae=None)
    monkeypatch.setattr(RunFolder, "in_use", lambda run: False)
    with run.lock():
        found = document(capsys, "runs", "prune", "--status", "failed", "--yes")
    assert found["kept"] == [{"name": "a", "why": "in use"}]
    assert names() == {"a"}


def test_an_interrupted_removal_is_no_run_and_is_finished_by_the_next(here, capsys, monkeypatch):
    make_run(here / "runs", "a", status="failed", mae=None)
    make_run(here / "runs", "b")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folders.shutil, "rmtree", interrupt)
        assert main(["runs", "prune", "--status", "failed", "--yes"]) == 130
    capsys.readouterr()
    assert names() == {"b"}
    assert (here / "runs" / folders.REMOVED).is_dir()
    assert document(capsys, "runs", "prune", "--status", "failed", "--yes")["runs"] == []
    assert [path.name for path in (here / "runs").iterdir()] == ["b"]


def test_what_can_not_be_removed_is_a_storage_error(here, monkeypatch):
    run = make_run(here / "runs", "a", status="failed", mae=None)
    monkeypatch.setattr(folders.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(StorageError, match="can not be removed") as caught:
        remove_run(run, here / "runs")
    assert caught.value.exit_code == 6


@pytest.mark.posix
def test_nothing_is_moved_through_a_symlink(here):
    run = make_run(here / "runs", "a", status="failed", mae=None)
    (here / "target").mkdir()
    (here / "runs" / folders.REMOVED).symlink_to(here / "target")
    with pytest.raises(StorageError, match="symlink"):
        remove_run(run, here / "runs")
    assert list((here / "target").iterdir()) == []
    assert names() == {"a"}


def test_runs_are_found_where_the_environment_or_the_option_says(here, capsys, monkeypatch):
    make_run(here / "exp", "a", mae=0.25)
    make_run(here, "a", mae=0.75)
    assert document(capsys, "runs", "show", "a")["test_mae"] == 0.75, "a folder here comes first"
    assert document(capsys, "runs", "show", "a", "--root", "exp")["test_mae"] == 0.25, "what is said comes first"
    monkeypatch.setenv("GYMJAX_RUN_ROOT", "exp")
    assert [row["name"] for row in document(capsys, "runs", "list")["runs"]] == ["a"]
    assert document(capsys, "runs", "show", "latest")["test_mae"] == 0.25
    assert document(capsys, "runs", "list", "--root", "runs")["runs"] == []
    assert "--root exp" in said(capsys, "runs", "best", "--metric", "maee", code=2)[1][2]


def test_a_run_that_was_killed_is_no_longer_running(here, capsys):
    run = make_run(here / "runs", "a", status="running", mae=None)
    with run.lock():
        assert document(capsys, "runs", "list")["runs"][0]["status"] == "running"
    assert document(capsys, "runs", "list")["runs"][0]["status"] == "stopped"


def test_runs_keep_the_order_in_which_they_began(here):
    for name, began in (("b", "2026-03-01T10:00:00.000+00:00"), ("a", "2026-03-01T11:00:00.000+00:00")):
        make_run(here / "runs", name).write_json("env.json", {"began": began})
    os.utime(here / "runs" / "b" / "config.yaml")  # as a resume does that changes a setting
    assert [run.path.name for run in list_runs()] == ["b", "a"]


def test_what_is_no_run_or_is_damaged_is_said(here, capsys):
    (here / "hand").mkdir()
    (here / "hand" / "config.yaml").write_text("model: {kind: mlp}\n")
    assert said(capsys, "runs", "show", "hand", code=4)[1][0] == f"error: {here}/hand is no run: it has no data.json"
    run = make_run(here / "runs", "a")
    (run.path / "data.json").write_text('{"schema": "2"}')
    for command in (("runs", "show"), ("evaluate",), ("train", "--resume")):
        assert said(capsys, *command, "runs/a", code=4)[1][1:] == [
            "hint: the run is damaged",
            "try: gymjax explain checkpoint.invalid",
        ]
    run.write_json("data.json", {"files": []})
    (run.path / "config.yaml").write_text("a: [1\nb: {")
    for command in (("runs", "show"), ("evaluate",), ("train", "--resume")):
        error, *_ = said(capsys, *command, "runs/a", code=4)[1]
        assert error.startswith(f"error: `{run.path}/config.yaml` line 2"), error


@pytest.mark.posix
def test_the_start_of_another_run_stays_behind_a_symlink_too(here, capsys):
    (here / "real").mkdir()
    (here / "link").symlink_to(here / "real")
    make_run(here / "real", "parent", mae=None, status="failed")
    make_run(here / "real", "child", mae=None, parent=str(here / "link" / "parent"))
    for root in ("real", "link"):
        kept = document(capsys, "runs", "prune", "--root", root, "--status", "failed", "--all")["kept"]
        assert kept == [{"name": "parent", "why": "the start of child"}]


def test_prune_keeps_the_best_of_what_has_no_mae(here, capsys):
    for name, accuracy in (("a", 0.5), ("b", 0.9), ("c", 0.7)):
        own = {"accuracy": accuracy, "log_loss": 1.0, "count": 40}
        model = {"kind": "mlp", "targets": {"label": own}}
        scores = {"part": "test", "cases": 40, "model": model, "baselines": {}, "notes": [], "verdict": "."}
        make_run(here / "runs", name, mae=None).write_json("scores.json", scores)
    make_run(here / "runs", "d", mae=0.3)
    found = document(capsys, "runs", "prune", "--keep", "0")
    assert {run["name"] for run in found["kept"]} == {"b", "d"}


def test_a_name_that_is_nearly_a_run_is_asked_about(tmp_path):
    make_run(tmp_path, "nightly")
    for name, hint in (("nigthly", "did you mean `nightly`?"), ("x", "a run is a folder with a config.yaml in it")):
        with pytest.raises(CheckpointError) as caught:
            open_run(name, root=tmp_path)
        assert caught.value.hint == hint
