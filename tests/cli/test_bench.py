"""`gymjax bench`: its tables, its document, its chart, its errors."""

import json
import re
import shlex

import pytest
from conftest import ROOT
from small import small_csv

from gym_jax.cli import bench_show, main
from gym_jax.run import bench as run_bench
from gym_jax.run import bench_peers
from gym_jax.run.bench_rows import Case, Row, row_of
from gym_jax.run.fit import Event

TINY = ["--seconds=0.02", "--context=12", "--horizon=4", "--compile=fast", "model.hidden=4"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_bench_measures_draws_and_prints_one_document(here, capsys):
    words = ["-m", "mlp", "--batch-size=8", "--placement=cores", "data.synthetic.days=2", "data.synthetic.series=2"]
    assert main(["bench", *TINY, *words, "--chart", "chart.png", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["command"], document["status"]) == ("bench", "ok")
    assert (document["context"], document["horizon"], document["channels"]) == (12, 4, 1)
    rows = [Row(**row) for row in document["rows"]]
    assert [(row.batch_size, row.placement) for row in rows] == [(8, "cores")]
    for row in rows:
        assert (row.by, row.model, row.dtype, row.compile, row.fault) == ("gym_jax", "mlp", "float32", "fast", None)
        assert row.flops == 2 * 8 * (3 * (12 * 4 + 4 * 4) - 12 * 4)
        assert row.repetitions >= 3
        assert row.windows_per_second == pytest.approx(1000 * row.batch_size / row.step_ms)
        assert row.flops_per_second == pytest.approx(1000 * row.flops / row.step_ms)
        assert row.peak_share == pytest.approx(row.flops_per_second / row.peak_flops_per_second)
        assert row.first_seconds > row.compile_seconds > 0
        assert row.devices == f"cpu:{document['cores']}"
    assert document["chart"] == str(here / "chart.png")
    assert (here / "chart.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [path.name for path in here.iterdir()] == ["chart.png"]
    assert re.fullmatch(r"gym_jax mlp batch 8 float32 cores fast: first call [\d.]+s\n", err)


def test_bench_reads_the_users_data_and_names_a_missing_peer(here, capsys, monkeypatch):
    small_csv(here / "cpu.csv")
    monkeypatch.setattr(run_bench, "is_missing", lambda peer: "torch")
    words = ["-m", "mlp", "--batch-size=8", "--placement=one", "--data=cpu.csv", "--target=cpu", "--target=memory"]
    assert main(["bench", *TINY, *words, "--peers=torch", "-q"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.split("\n")
    assert lines[0].split()[:6] == ["by", "model", "batch", "dtype", "placement", "compile"]
    assert re.match(r"gym_jax +mlp +8 +float32 +one +fast +[\d,]+ ", lines[2])
    assert re.match(r"torch +(- +)+torch is not installed: pip install 'gym-jax\[bench\]'$", lines[3])
    assert f"{here / 'cpu.csv'}: context 12, horizon 4, 2 channels, " in out
    assert re.search(r"^sgemm peak: \d+ GFLOP/s on cpu:1$", out, re.M)
    assert "fastest mlp: gymjax train --model mlp --placement one --batch-size 8 train.compile=fast\n" in out
    assert [path.name for path in here.iterdir()] == ["cpu.csv"]


def test_data_that_can_not_be_read_are_refused_as_training_does(here, capsys):
    small_csv(here / "cpu.csv")
    assert main(["bench", *TINY, "-m", "mlp", "--data=cpu.csv", "--target=cpus", "--chart=chart.png"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    problem, hint, attempt = err.rstrip("\n").split("\n")
    assert problem.startswith("error: no column `cpus`")
    assert "`cpu`" in hint
    assert attempt.startswith("try: gymjax ")
    assert [path.name for path in here.iterdir()] == ["cpu.csv"]


@pytest.mark.parametrize(
    ("words", "problem", "hint", "attempt"),
    [
        (["-m", "lsmt"], "--model `lsmt` is not known", "did you mean `lstm`?", "gymjax bench --model lstm"),
        (
            ["--placement", "coers", "--peers", "torch,kears", "-m", "linear"],
            "--model linear is not trained by gradient; --placement `coers` is not known; --peers `kears` is not known",
            "it has no steps to time; did you mean `cores`?; did you mean `keras`?",
            "gymjax bench --model lstm",
        ),
        (
            ["-m", "mlp", "-m", "lstm", "model.hiden=3", "train.batch_size=9", "--compile", "fats"],
            "--compile `fats` is not known; train.batch_size is what is compared; "
            "unknown key `model.hiden` (from the command line)",
            "did you mean `fast`?; say it with --batch-size; did you mean `model.hidden`?",
            "gymjax bench --compile fast",
        ),
        (["model=lstm"], "model is what is compared", "say it with --model", "gymjax bench --model lstm"),
        (
            ["--chart", "gone/a.png"],
            "--chart gone/a.png can not be written",
            "it is a file in a folder that exists",
            "gymjax bench --chart bench.png",
        ),
        (
            ["-m", "mlp", "model.layers=2"],
            "unknown key `model.layers` (from the command line)",
            "it belongs to model=lstm or transformer, this is mlp",
            "gymjax models show mlp",
        ),
    ],
)
def test_every_wrong_word_is_named_before_anything_is_measured(capsys, words, problem, hint, attempt):
    assert main(["bench", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.rstrip("\n").split("\n") == [f"error: {problem}", f"hint: {hint}", f"try: {attempt}"]


def canned(configs, *, batch_sizes, dtypes, peers, placements, compiles, watch, **other):
    """Rows as if they had been measured: the second of each batch is the fastest, the last one failed."""
    facts = {"data": "data", "context": 12, "horizon": 4, "channels": 1, "windows": 1234, "cases": 1, "rounds": 3}
    watch(Event("start", facts))
    rows = []
    for config in configs:
        for size in batch_sizes:
            for dtype in dtypes:
                for number, placement in enumerate(placements or ("one", "cores")):
                    case = Case("gym_jax", config.model.kind, size, dtype, placement, (compiles or ["safe"])[0])
                    seconds = [0.5, 0.25][number % 2]
                    measured = {"devices": f"cpu:{number + 1}", "memory": 3 << 20, "flops": 10**9, "peak": 1e11}
                    rows.append(row_of(case, times=[seconds], first=2.0, steps=10, **measured))
    broken = rows[-1]
    rows[-1] = Row(*broken[:6], fault="out of memory")
    rows += [row_of(Case("torch", broken.model, 64, "float32"), times=[1.0], first=1.0, steps=10)] if peers else []
    watch(Event("fault", {**rows[-1]._asdict(), "reason": "out of memory"}))
    return rows


@pytest.fixture
def no_clock(monkeypatch):
    monkeypatch.setattr(run_bench, "bench", canned)


def test_a_terminal_shows_a_table_a_model_with_the_fastest_in_bold(no_clock, monkeypatch, capsys):
    monkeypatch.setattr(bench_show, "is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert main(["bench", "-m", "lstm", "-m", "mlp", "--peers", "torch", "-q"]) == 0
    out = capsys.readouterr().out
    bold = [re.sub(r"\x1b\[\d*(;\d+)*m", "", line).split() for line in out.split("\n") if "\x1b[1m" in line]
    measured = [line[:5] for line in bold if line and line[0].isdigit()]
    assert measured == [
        ["64", "cores,", "safe", "2,560", "25"],
        ["256", "cores,", "safe", "10,240", "25"],
        ["64", "cores,", "safe", "2,560", "25"],
        ["256", "one,", "safe", "5,120", "50"],
    ]
    plain = re.sub(r" +$", "", re.sub(r"\x1b\[\d*(;\d+)*m", "", out), flags=re.M)
    assert (
        plain.index("lstm\n") < plain.index("mlp\n") < plain.index("gym_jax mlp batch 256 float32 cores safe: out of")
    )
    assert re.search(r"64 +torch +640 +100 +0% +0\.0 +1\.0 +- +- +-\n", plain)
    assert re.search(r"64 +one, safe +1,280 +50 +0% +1\.5 +2\.0 +3\.0 MiB +20\.0 +20%\n", plain)


def test_plain_text_has_every_column_and_peers_beside_ours(no_clock, monkeypatch, capsys):
    monkeypatch.setattr(bench_show, "is_terminal", lambda: True)
    assert main(["bench", "-m", "mlp", "--peers", "torch", "--plain"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.split("\n")]
    columns = (
        "by model batch dtype placement compile windows/s ms/step spread compile s first s memory GFLOP/s of peak fault"
    )
    assert lines[0] == columns.split()
    assert [line[:3] for line in lines[2:7]] == [
        ["gym_jax", "mlp", "64"],
        ["gym_jax", "mlp", "64"],
        ["torch", "mlp", "64"],
        ["gym_jax", "mlp", "256"],
        ["gym_jax", "mlp", "256"],
    ]
    assert lines[6][-3:] == ["out", "of", "memory"]
    assert "sgemm peak: 100 GFLOP/s on cpu:1, 100 GFLOP/s on cpu:2\n" in out
    assert "out of memory" in err


def test_when_nothing_could_be_measured_the_reasons_are_the_error(monkeypatch, capsys):
    monkeypatch.setattr(
        run_bench, "bench", lambda *given, **more: [Row("gym_jax", "mlp", 1, fault="out of memory")] * 2
    )
    assert main(["bench", "-m", "mlp", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["message"]) == ("error", "no case could be measured: out of memory")


def test_a_setting_of_a_model_is_for_the_models_that_have_it(monkeypatch, capsys):
    given = []
    monkeypatch.setattr(run_bench, "bench", lambda configs, **more: given.extend(configs) or canned(configs, **more))
    assert main(["bench", "model.layers=3", "model.dropout=0.3", "task.horizon=7", "-q"]) == 0
    models = {config.model.kind: config.model for config in given}
    assert list(models) == ["mlp", "lstm", "transformer"]
    assert (models["lstm"].layers, models["transformer"].layers) == (3, 3)
    assert {model.dropout for model in models.values()} == {0.3}
    assert {config.task.horizon for config in given} == {7}


def test_every_documented_command_is_one(here, no_clock, monkeypatch, capsys):
    monkeypatch.setattr(bench_peers.importlib.util, "find_spec", lambda name: name)
    small_csv(here / "cpu.parquet")
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "bench.md").read_text(), re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, (line, capsys.readouterr().err)
    documented = set(re.findall(r"^\| `[^`]+` \| `(\w+)`", (ROOT / "docs" / "bench.md").read_text(), re.M))
    assert documented == {*bench_show.COLUMNS.values(), "fault"}


def test_ctrl_c_is_said_and_leaves_with_its_code(here, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_bench, "bench", interrupt)
    assert main(["bench", "-m", "mlp", "model.hidden=[4]"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: stopped by Ctrl-C before anything was saved",
        "hint: nothing is left to go on with: it begins anew",
        "try: gymjax bench -m mlp 'model.hidden=[4]'",
    ]
