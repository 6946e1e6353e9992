"""The command line from outside: exit codes, three-line errors, one JSON document, silence."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from small import small_csv

from gym_jax.cli import main

SMALL = [
    "--epochs=2",
    "--context=24",
    "--horizon=4",
    "--batch-size=32",
    "data.stride=8",
    "model.hidden=[8]",
    "data.synthetic.series=3",
    "data.synthetic.days=3",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *arguments):
    """Run a command that must fail; return its exit code and its error lines."""
    code = main(list(arguments))
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return code, err.rstrip("\n").split("\n")


ERRORS = {
    ("trian",): (2, "error: no such command 'trian'", "hint: did you mean 'train'?", "try: gymjax --help"),
    ("fit",): (2, "error: no such command 'fit'", "hint: did you mean 'train'?", "try: gymjax --help"),
    ("test", "RUN"): (2, "error: no such command 'test'", "hint: did you mean 'evaluate'?", "try: gymjax --help"),
    ("tune", "--lr", "1e-4,1e-3"): (
        2,
        "error: no such option: --lr",
        "hint: did you mean `optim.lr=...`?",
        "try: gymjax tune --help",
    ),
    ("train", "--epoch", "3"): (
        2,
        "error: no such option: --epoch",
        "hint: did you mean --epochs?",
        "try: gymjax train --help",
    ),
    ("train", "--model", "ltsm"): (
        2,
        "error: `model.kind=ltsm` (from the command line) is not known",
        "hint: did you mean `lstm`?",
        "try: gymjax models list",
    ),
    ("train", "model.hiden=3", "train.epochs=0"): (
        2,
        "error: unknown key `model.hiden` (from the command line); `train.epochs=0` (from the command line) is not > 0",
        "hint: did you mean `model.hidden`?; `train.epochs` is integer > 0, by default 20",
        "try: gymjax models show lstm",
    ),
    ("train", "--config", "cpu_alocation"): (
        2,
        "error: no configuration `cpu_alocation`",
        "hint: no such file; of the shipped ones, did you mean `cpu_allocation`?",
        "try: gymjax config show cpu_allocation",
    ),
    ("train", "--model", "transformer", "model.width=30"): (
        2,
        "error: model.heads=4 does not divide model.width=30",
        "hint: every head gets an equal share of the width",
        "try: gymjax train ... model.width=32",
    ),
    ("train", "data.split.train=0.9"): (
        2,
        "error: `data.split` (from the command line): train 0.9 and val 0.1 leave no test part",
        "hint: it has kind, train, val, val_steps, test_steps, val_from, test_from, until, gap, seed, group, "
        "folds, fold",
        "try: gymjax config show data",
    ),
    ("train", "-m", "mlp", "model.heads=2"): (
        2,
        "error: unknown key `model.heads` (from the command line)",
        "hint: it belongs to model=transformer, this is mlp",
        "try: gymjax models show mlp",
    ),
    ("train", "data=cpu.csv"): (
        2,
        "error: `data=cpu.csv` (from the command line) is no section",
        "hint: did you mean `data.path=cpu.csv`?",
        "try: gymjax config show data",
    ),
    ("train", "--placement", "one", "--devices", "2"): (
        2,
        "error: train.devices=2 needs a placement: cores, shard or pmap",
        "hint: train.placement=one runs on one device",
        "try: gymjax train ... train.placement=cores",
    ),
    ("train", "data.layout=wide"): (
        2,
        "error: data.layout says how to read a file, but there is no data.path",
        "hint: give the data, or leave it out: the generated panel has its own columns",
        "try: gymjax train --data FILE ...",
    ),
    ("train", "optim.lr=1,2"): (
        2,
        "error: override `optim.lr=1,2` names several values",
        "hint: one run takes one value of each, gymjax sweep takes several; a list stands in brackets: [1,2]",
        "try: gymjax explain config.override",
    ),
    ("train", "--max-time", "soon"): (
        2,
        "error: --max-time soon is no length of time",
        "hint: write 90s, 30m, 1h30m, 1d or 2w",
        "try: gymjax train ... --max-time 30m",
    ),
    ("train", "--target", "memory"): (
        3,
        "error: no column `memory` in the generated panel",
        "hint: it has cpu_cores; give your own data with --data",
        "try: gymjax train --data FILE --target COLUMN",
    ),
    ("train", "--context", "5000"): (
        3,
        "error: 16 of 16 series are too short: `vm-000` (4,032), `vm-001` (4,032), `vm-002` (4,032), `vm-003` (4,032), "
        "`vm-004` (4,032) ...",
        "hint: context 5000 and horizon 12 with these splits need 7,161 rows per series",
        "try: gymjax train ... --context 1250 --horizon 3",
    ),
    ("evaluate", "nowhere"): (
        4,
        "error: no run at `nowhere`",
        "hint: a run is a folder with a config.yaml in it",
        "try: gymjax runs list",
    ),
    ("train", "--resume", "nowhere"): (
        4,
        "error: no run at `nowhere`",
        "hint: a run is a folder with a config.yaml in it",
        "try: gymjax runs list",
    ),
    ("models", "show", "lsmt"): (
        2,
        "error: no model kind `lsmt`",
        "hint: did you mean `lstm`?",
        "try: gymjax models list",
    ),
    ("generate", "--out", "x.txt"): (
        2,
        "error: `x.txt` is of no format that can be written",
        "hint: choose from .parquet, .pq, .csv, .csv.gz, .feather, .arrow, .jsonl, .npz",
        "try: gymjax ... --out x.parquet",
    ),
}


@pytest.mark.parametrize("arguments", ERRORS, ids=" ".join)
def test_errors_are_three_lines_with_their_exit_code(arguments, here, capsys):
    code, *lines = ERRORS[arguments]
    assert refused(capsys, *arguments) == (code, lines)
    assert list(here.iterdir()) == [], "nothing is written"


@pytest.mark.parametrize("group", [[], ["data"]], ids=str)
def test_a_command_that_is_missing_is_said_below_the_help(group, capsys):
    assert main(group) == 2
    out, err = capsys.readouterr()
    assert "Usage: gymjax" in out
    assert err.splitlines() == [
        "error: a command is missing",
        "hint: what it takes is listed there",
        f"try: {' '.join(['gymjax', *group, '--help'])}",
    ]


def test_errors_are_one_json_document_when_asked(here, capsys):
    code = main(["train", "--model", "ltsm", "--json"])
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (code, document["exit_code"], document["status"], document["code"]) == (2, 2, "error", "config.invalid")
    assert document["hint"] == "did you mean `lstm`?"
    assert err == ""


def test_debug_shows_the_traceback_and_keeps_the_exit_code(here, capsys):
    assert main(["train", "--model", "ltsm", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_train_evaluate_predict_from_the_folder_alone_also_after_it_moved(here, capsys):
    path = small_csv(here / "cpu.csv")
    assert (
        main(["train", "-m", "mlp", "-d", "cpu.csv", "--target", "cpu", *SMALL[:5], "--run-dir", "first", "--json"])
        == 0
    )
    out, err = capsys.readouterr()
    trained = json.loads(out)
    assert trained["command"] == "train"
    assert trained["run_status"] == "done"
    assert "mlp" in err
    assert "note" not in trained
    (here / "elsewhere").mkdir()
    (here / "first").rename(here / "elsewhere" / "second")
    assert main(["evaluate", "elsewhere/second", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["model"] == trained["scores"]["model"]
    assert main(["predict", "elsewhere/second", "--out", "forecast.parquet"]) == 0
    assert "8 rows of 2 series" in capsys.readouterr().out
    import pandas as pd

    frame = pd.read_parquet("forecast.parquet")
    data = pd.read_csv(path)
    assert list(frame.columns) == ["unique_id", "ds", "step", "cpu"]
    assert list(frame["step"]) == [1, 2, 3, 4] * 2
    assert frame["ds"].iloc[0] == pd.Timestamp(data["ds"].max()) + pd.Timedelta("5min")
    assert frame["cpu"].between(0, 4).all()


def test_synthetic_default_says_so_and_dry_run_writes_nothing(here, capsys):
    assert main(["train", "--model", "lstm", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "generated CPU-allocation panel (no --data given)" in out
    assert "dry run: nothing was written" in out
    assert list(here.iterdir()) == []
    assert main(["train", "--model", "lstm", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["parameters"] == 17676


def test_a_run_folder_is_never_reused(here, capsys):
    assert main(["train", "-m", "mlp", *SMALL, "--run-dir", "run", "-q"]) == 0
    assert capsys.readouterr().err == ""
    code, lines = refused(capsys, "train", "-m", "mlp", *SMALL, "--run-dir", "run")
    assert code == 2
    assert lines[1:] == [
        "hint: a run folder is never reused; continue it, or choose another",
        f"try: gymjax train --resume {here / 'run'}",
    ]


def test_max_time_stops_saved_and_resume_goes_on(here, capsys):
    assert main(["train", "-m", "mlp", *SMALL, "train.chunk=2", "--max-time=0s", "--run-dir", "run", "-q"]) == 0
    assert "stopped by --max-time at step 2; go on with: gymjax train --resume" in capsys.readouterr().out
    assert main(["train", "--resume", "run", "-q"]) == 0
    assert "best epoch" in capsys.readouterr().out
    assert main(["train", "--resume", "run", "-q"]) == 0
    assert "already complete" in capsys.readouterr().out
    code, lines = refused(capsys, "train", "--resume", "run", "--lr", "1")
    assert (code, len(lines)) == (2, 3)


def test_config_alone_reruns_the_job_to_the_same_scores(here, capsys):
    assert main(["train", "-m", "mlp", *SMALL, "--run-dir", "one", "-q", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["train", "--config", "one/config.yaml", "--run-dir", "two", "-q", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert first["scores"] == second["scores"]
    assert (here / "one/metrics.jsonl").read_bytes() == (here / "two/metrics.jsonl").read_bytes()


def test_runs_and_models_and_doctor(here, capsys):
    assert main(["train", "-m", "last", "-q"]) == 0
    capsys.readouterr()
    for command in (
        ["runs", "list"],
        ["runs", "show", "latest"],
        ["models", "list"],
        ["models", "show", "lstm"],
        ["doctor"],
    ):
        assert main(command) == 0, command
        text = capsys.readouterr().out
        assert text
        assert main([*command, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["command"] == " ".join(command[:2]) if len(command) > 1 else command[0]
    assert "green" in text


def test_an_exit_code_table_stands_in_the_help(capsys):
    assert main(["--help"]) == 0
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    for words in ("0 ok", "3 data", "75 run folder in use", "130 Ctrl-C, saved", "143 SIGTERM, saved"):
        assert words in out


def test_every_option_reaches_the_configuration(here, capsys):
    words = (
        "train -m lstm --context 30 --horizon 5 --epochs 7 --batch-size 17 --lr 0.5 --seed 9 --placement shard "
        "--on-nan skip --devices 3 --name my-run --target cpu_cores --config cpu_allocation model.hidden=6 "
        "--dry-run --json"
    )
    assert main(words.split()) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert (config["task"]["context"], config["task"]["horizon"]) == (30, 5)
    train = config["train"]
    assert (
        train["epochs"],
        train["batch_size"],
        train["seed"],
        train["placement"],
        train["devices"],
        train["on_nan"],
    ) == (
        7,
        17,
        9,
        "shard",
        3,
        "skip",
    )
    assert (config["optim"]["lr"], config["model"]["hidden"], config["run"]["name"]) == (0.5, 6, "my-run")
    assert config["data"]["target"] == ["cpu_cores"]


def test_a_platform_that_is_not_here_is_a_missing_extra(here):
    command = [sys.executable, "-m", "gym_jax", "train", "--platform", "tpu", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 8
    error, hint, attempt = done.stderr.rstrip().split("\n")[-3:]
    assert error.startswith("error: no tpu can be used here: ")
    assert hint == "hint: it needs the hardware and the extra: pip install 'gym-jax[tpu]'"
    assert attempt == "try: gymjax doctor"


def test_an_unforeseen_fault_is_three_lines_too(here, capsys, monkeypatch):
    import gym_jax.data.synthetic

    def fail(**settings):
        raise ZeroDivisionError("deep inside")

    monkeypatch.setitem(gym_jax.data.DATASETS, "panel", fail)
    assert refused(capsys, "generate", "--out", "x.csv") == (
        1,
        [
            "error: ZeroDivisionError: deep inside",
            "hint: this is a fault of gym_jax or of a plug-in, not of yours; please report it with the traceback",
            "try: gymjax generate --out x.csv --debug",
        ],
    )


@pytest.mark.parametrize("door", [["cli.py"], ["-m", "gym_jax"]], ids=["cli.py", "python -m gym_jax"])
def test_every_door_leads_to_the_same_place(door):
    command = [sys.executable, *door, "models", "show", "lsmt", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert json.loads(done.stdout)["hint"] == "did you mean `lstm`?"


def test_the_platform_cpu_leaves_room_for_a_device_per_core():
    words = ["train", "--platform", "cpu", "--placement", "cores", "--devices", "3", "--dry-run", "--json"]
    environment = {key: value for key, value in os.environ.items() if key != "JAX_NUM_CPU_DEVICES"}
    command = [sys.executable, "-m", "gym_jax", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout)["plan"]["devices"] == 3
