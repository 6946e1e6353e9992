"""What a command says beside its result: as much as asked for, in the form asked for, where it was asked for."""

import json
import logging
import subprocess
import sys
import warnings

import pytest
from small import small_csv

from gym_jax.cli import main
from gym_jax.cli.log import LOGGER, Output, line_of, log, log_to, parse_levels, parse_output
from gym_jax.errors import ConfigError

TRAIN = [
    "train",
    "--model=mlp",
    "--epochs=2",
    "--context=24",
    "--horizon=4",
    "--batch-size=32",
    "data.stride=8",
    "model.hidden=[8]",
    "train.chunk=2",
    "data.synthetic.series=3",
    "data.synthetic.days=3",
    "run.save_seconds=0",
    "evaluate.baselines=[]",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(capsys, *options):
    assert main([*TRAIN, *options]) == 0
    out, err = capsys.readouterr()
    return out, err.splitlines()


def read_log(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_options_stand_anywhere_and_add_up():
    words = ["-q", "train", "--log-format=json", "a=1", "--log-file", "x.log", "-v", "-vv", "--log-level", "debug"]
    output, rest = parse_output(words)
    assert (output.verbosity, output.format, output.level, str(output.file)) == (2, "json", logging.DEBUG, "x.log")
    assert rest == ["train", "a=1"]
    assert parse_output(["-qq", "-q"])[0].verbosity == -2
    assert [parse_output([word])[0].verbosity for word in ("-vvv", "-qv", "-qqv")] == [2, 0, -1]
    assert parse_output(["train", "--", "-v"]) == (Output(), ["train", "--", "-v"])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--log-level", "inf"], "did you mean `info`?"),
        (["--log-format=xml"], "choose from json, text"),
        (["--log-format"], "choose from text, json"),
        (["train", "--log-file", "--json"], None),
        (["--log-level", "info,data=debg"], "did you mean `debug`?"),
        (["--log-level", "dat=debug"], "did you mean `data`?"),
        (["--log-level", "gym_jax.data.reed=debug"], "did you mean `data.read`?"),
        (["--log-level", "info,"], "choose from debug, info, warning, error"),
    ],
)
def test_wrong_options_are_answered(words, hint, capsys):
    with pytest.raises(ConfigError) as caught:
        parse_output(words)
    assert caught.value.hint == hint
    assert main(words) == 2


def test_quiet_silences_progress_and_a_result_stays(here, capsys):
    out, err = trained(capsys, "--name=a")
    assert len(err) > 4
    for option in ("-q", "--quiet", "-qq"):
        quiet, nothing = trained(capsys, f"--name={option.strip('-')}", option)
        assert nothing == []
        assert quiet.splitlines()[:-1] == out.splitlines()[:-1]


def test_verbose_shows_chunks_saves_and_timings(here, capsys):
    _, plain = trained(capsys, "--name=a")
    _, verbose = trained(capsys, "--name=b", "--verbose")
    _, most = trained(capsys, "--name=c", "-vv")
    for word in ("  batch ", "saved step ", "planned in ", "scored in "):
        assert not any(word in line for line in plain), word
        assert any(word in line for line in verbose), word
    assert any(line.startswith("start: ") and "state_bytes=" in line for line in most)


def test_json_on_stderr_is_one_object_a_line_and_stdout_one_document(here, capsys):
    out, err = trained(capsys, "--json", "--log-format", "json", "-v")
    assert json.loads(out)["run_status"] == "done"
    records = [json.loads(line) for line in err]
    assert [records[0]["event"], records[-1]["event"]] == ["command", "exit"]
    assert {"start", "chunk", "saved", "epoch", "scored"} <= {record["event"] for record in records}
    assert all(list(record)[:3] == ["time", "level", "event"] for record in records)
    epoch = next(record for record in records if record["event"] == "epoch")
    assert (epoch["level"], epoch["epoch"], epoch["epochs"]) == ("info", 1, 2)
    assert "per_series" not in out or "per_series" not in "".join(err), "tables stand in scores.json"
    _, info = trained(capsys, "--log-format", "json")
    assert {json.loads(line)["event"] for line in info} == {"command", "start", "epoch", "scored", "exit"}


def test_an_error_is_a_record_too(here, capsys):
    assert main(["train", "--model", "ltsm", "--log-format", "json", "--log-file", "x.log", "-q"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (record,) = map(json.loads, err.splitlines())
    assert (record["level"], record["event"], record["exit_code"]) == ("error", "error", 2)
    assert (record["code"], record["hint"]) == ("config.invalid", "did you mean `lstm`?")
    assert [entry["event"] for entry in read_log(here / "x.log")] == ["command", "error", "exit"]
    assert main(["train", "--model", "ltsm", "--log-format", "json", "--json", "-qq"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["code"] == json.loads(err)["code"]
    assert main(["train", "--model", "ltsm", "--log-format", "json", "--debug"]) == 2
    assert "Traceback" in json.loads(capsys.readouterr().err.splitlines()[1])["traceback"]


def test_the_file_gets_every_event_whatever_stderr_shows(here, capsys):
    (here / "run.log").write_text("before\n")
    _, err = trained(capsys, "-qq", "--log-file", "run.log", "--log-level", "debug")
    assert err == []
    first, *lines = (here / "run.log").read_text().splitlines()
    assert first == "before", "it is appended to"
    told = [line.split()[2] for line in lines if " log logger=" not in line]
    assert told[:3] == ["command", "start", "chunk"]
    saved = [line for line in lines if " log logger=gym_jax.run.session " in line]
    assert saved[0].split()[1] == "debug"
    assert 'message="saved step 2 of ' in saved[0]
    assert ["debug", "saved"] in [line.split()[1:3] for line in lines], "while training went on"
    assert any(" info " in line and " epoch epoch=2 step=14 " in line for line in lines)
    assert "exit exit_code=0 seconds=" in lines[-1]


def test_the_level_holds_for_the_file(here, capsys):
    _, err = trained(capsys, "-vv", "--log-format", "json", "--log-file", "run.log", "--log-level", "error")
    assert '"chunk"' in "".join(err)
    assert (here / "run.log").read_text() == ""


def test_what_a_name_holds_does_not_steer_a_terminal():
    assert line_of({"a": "x\r\x1b[2Jy", "b": "two words", "c": "über", "d": ""}) == (
        'a="x\\r\\u001b[2Jy" b="two words" c=über d=""'
    )


def test_levels_of_single_modules():
    level, modules = parse_levels("warning, data=debug, gym_jax.run.session=info, orbax.checkpoint=error")
    assert level == logging.WARNING
    known = {"gym_jax.data": 10, "gym_jax.run.session": 20, "orbax.checkpoint": 40}
    assert modules == known
    assert parse_levels("data.read=info") == (logging.INFO, {"gym_jax.data.read": 20})
    with pytest.raises(ConfigError) as caught:
        parse_levels("nonsense=debug")
    assert caught.value.message == "`--log-level nonsense=...` names no module"
    assert caught.value.hint.startswith("choose from __init__, ") is False
    assert "data, " in caught.value.hint


def test_a_module_is_told_of_in_the_file_and_on_stderr(here, capsys):
    levels = {"gym_jax.data": logging.DEBUG, "gym_jax.data.grid": logging.ERROR, "other": logging.INFO}

    def talk():
        for name in ("gym_jax.data.read", "gym_jax.data.grid", "gym_jax.run.plan", "other.part", "third"):
            logging.getLogger(name).debug("fine")
            logging.getLogger(name).info("rough")
        log("epoch", {"loss": 1.0})

    before = {name: logging.getLogger(name).level for name in levels}
    with log_to(Output(file=here / "a.log", modules=levels, level=logging.WARNING)):
        talk()
    told = ["debug: gym_jax.data.read: fine", "info: gym_jax.data.read: rough", "info: rough"]
    assert capsys.readouterr().err.splitlines() == told
    lines = [line.split(maxsplit=1)[1] for line in (here / "a.log").read_text().splitlines()]
    assert lines == [
        "debug   log logger=gym_jax.data.read message=fine",
        "info    log logger=gym_jax.data.read message=rough",
        "info    log logger=other.part message=rough",
    ]
    assert {name: logging.getLogger(name).level for name in levels} == before
    with log_to(Output(verbosity=-1, modules=levels)):
        talk()
    assert capsys.readouterr().err == "", "-q is obeyed"
    with log_to(Output(format="json", modules=levels)):
        talk()
    records = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [record.get("logger", record["event"]) for record in records] == [
        "gym_jax.data.read",
        "gym_jax.data.read",
        "gym_jax.run.plan",
        "other.part",
        "epoch",
    ]


def test_reading_placing_and_saving_say_what_they_do(here, capsys):
    small_csv(here / "cpu.csv")
    options = ["--data=cpu.csv", "--target=cpu", "-q", "--log-file=run.log", "--log-level=error,data=debug,run=debug"]
    trained(capsys, *options)
    lines = (here / "run.log").read_text().splitlines()
    for words in (
        f'logger=gym_jax.data.read message="read {here}/cpu.csv: 800 rows, 2 series, in ',
        'logger=gym_jax.run.plan message="',
        'logger=gym_jax.run.session message="saved step ',
    ):
        assert any(words in line for line in lines), words


def test_warnings_and_other_libraries_reach_the_file_and_stderr(here, capsys):
    talkative = logging.getLogger("other.library")
    talkative.setLevel(logging.INFO)

    def disturb():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("it is hot", UserWarning, stacklevel=1)
        talkative.warning("careful")
        talkative.info("chatter")
        log("epoch", {"loss": float("nan"), "text": "two words"})

    with log_to(Output(file=here / "a.log", format="json", level=logging.DEBUG)):
        disturb()
    records = read_log(here / "a.log")
    assert [record["event"] for record in records] == ["warning", "log", "epoch"]
    assert (records[0]["category"], records[0]["message"]) == ("UserWarning", "it is hot")
    assert (records[1]["logger"], records[1]["level"]) == ("other.library", "warning")
    assert records[2]["loss"] is None, "JSON has no NaN"
    assert capsys.readouterr().err == (here / "a.log").read_text(), "JSON on stderr says the same"
    with log_to(Output(file=here / "b.log")):
        disturb()
    assert capsys.readouterr().err.splitlines() == ["warning: it is hot", "warning: careful"]
    assert (here / "b.log").read_text().splitlines()[-1].endswith(' info    epoch loss=null text="two words"')
    with log_to(Output(verbosity=-2)):
        disturb()
    assert capsys.readouterr().err == ""


def test_nothing_is_left_installed(here, capsys):
    before = (list(logging.getLogger().handlers), LOGGER.level, warnings.showwarning)
    main(["runs", "list", "--log-file", "x.log", "-vv"])
    assert (list(logging.getLogger().handlers), LOGGER.level, warnings.showwarning) == before


def test_a_log_file_that_can_not_be_is_a_storage_error(here, capsys):
    assert main(["runs", "list", "--log-file", "nowhere/x.log"]) == 6
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: --log-file nowhere/x.log can not be written: No such file or directory",
        "hint: it must be a file in a folder that exists",
        "try: mkdir -p nowhere",
    ]
    assert main(["runs", "list", "--log-file", "."]) == 6


@pytest.mark.posix
def test_a_full_disk_ends_the_log_and_not_the_command(capsys):
    with log_to(Output(file="/dev/full")):
        log("epoch", {})
        log("epoch", {})
    assert (
        capsys.readouterr().err
        == "warning: /dev/full can not be written any more: [Errno 28] No space left on device\n"
    )


def test_the_library_alone_prints_nothing():
    code = "from gym_jax.cli.log import log; log('error', {}, 40)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_options_stand_in_the_help(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for word in ("--quiet", "-qq", "--verbose", "-vv", "--log-format", "--log-level", "--log-file", "--debug"):
        assert word in out
    assert main(["train", "--help"]) == 0
    assert "--log-format" in capsys.readouterr().out
