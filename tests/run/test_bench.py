"""A comparison of speeds: numbers by hand, cases that are the program of a run, and none the end of another."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from gym_jax.config.load import load_config
from gym_jax.data.findings import Finding
from gym_jax.errors import ConfigError, DataError, StorageError
from gym_jax.report.speed import short
from gym_jax.report.style import COLOURS
from gym_jax.run import bench_own, bench_peers
from gym_jax.run.bench import bench, find_problems
from gym_jax.run.bench_chart import draw_chart, make_figure, way_of
from gym_jax.run.bench_memory import host_gauge, read_memory
from gym_jax.run.bench_process import Arm, error_of, measure, prepare, stop
from gym_jax.run.bench_rows import Bench, Case, Ready, Row, repetitions, row_of, spread
from gym_jax.run.bench_worker import serve

CASE = Case("gym_jax", "mlp", 64, "float32", "one", "safe")
SMALL = ["data.synthetic.series=2", "data.synthetic.days=3", "task.context=12", "task.horizon=4"]
FEW = {"mlp": ["model.hidden=[8,6]"], "lstm": ["model.hidden=5"], "transformer": ["model.width=8", "model.heads=2"]}


def small(kind, *overrides):
    return load_config([], [f"model={kind}", *SMALL, *FEW[kind], *overrides])


def opened(configs, **changed):
    """Our own bench in this process; the devices are open before it asks for its own."""
    jax.devices()
    usual = {"placements": ["one"], "batch_sizes": [16], "dtypes": ["float32"], "compiles": ["safe"], "seconds": 1e-4}
    return bench_own.open_own(configs, **{**usual, **changed})


def test_the_rates_follow_from_times_and_counts():
    """Ten steps of 64 windows in 0.2 seconds, 3 million operations each, beside a peak of 300 million a second."""
    row = row_of(CASE, times=[0.4, 0.1, 0.2], first=1.7, steps=10, devices="cpu:1", memory=5, flops=3_000_000, peak=3e8)
    assert row._asdict() == pytest.approx(
        {
            **CASE._asdict(),
            "devices": "cpu:1",
            "windows_per_second": 3200.0,
            "step_ms": 20.0,
            "spread": 0.75,
            "compile_seconds": 1.5,
            "first_seconds": 1.7,
            "memory_bytes": 5,
            "steps": 10,
            "repetitions": 3,
            "flops": 3_000_000,
            "flops_per_second": 1.5e8,
            "peak_flops_per_second": 3e8,
            "peak_share": 0.5,
            "fault": None,
        }
    )


def test_what_was_not_counted_has_no_rate_and_a_quick_first_call_compiled_nothing():
    row = row_of(CASE, times=[0.2], first=0.1, steps=1)
    assert (row.flops_per_second, row.peak_share, row.memory_bytes) == (None, None, None)
    assert row.compile_seconds == 0


def test_the_spread_is_the_middle_half_over_the_median():
    assert spread([1, 2, 3]) == pytest.approx((2.5 - 1.5) / 2)
    assert spread([4, 4, 4, 100]) == pytest.approx((28 - 4) / 4)
    assert spread([7]) == 0


def test_repetitions_go_on_until_the_time_is_up_and_at_least_once():
    clock = iter(np.arange(0, 100, 0.4)).__next__
    assert repetitions(lambda: None, 1.0, clock) == pytest.approx([0.4, 0.4, 0.4])
    assert len(repetitions(lambda: None, 0.0, clock)) == 1


def test_a_call_is_as_long_as_a_chunk_of_a_run_and_shorter_when_the_time_is():
    assert bench_own.chunk_of(25_000_000, 1.0) == 1000 == bench_own.chunk_of(25_000_000, 5.0)
    assert bench_own.chunk_of(25_000_000, 0.1) == 100
    assert bench_own.chunk_of(1, 1.0) == 4096
    assert bench_own.chunk_of(10**15, 1.0) == 2


def test_the_cases_are_every_combination_and_pmap_compiles_one_way():
    made = opened(
        [small("mlp"), small("lstm")], placements=["one", "pmap"], batch_sizes=[8, 16], compiles=["safe", "fast"]
    )
    ways = [("one", "safe"), ("one", "fast"), ("pmap", "fast")]
    expected = [
        Case("gym_jax", kind, size, "float32", *way)
        for kind, size, way in itertools.product(("mlp", "lstm"), (8, 16), ways)
    ]
    assert made.cases == expected


def test_what_suits_a_cpu_is_one_device_and_all_cores(monkeypatch):
    monkeypatch.setattr(bench_own, "cpu_cores", lambda: 2)
    assert bench_own.usual_placements() == ("one", "cores")
    monkeypatch.setattr(bench_own, "cpu_cores", lambda: 1)
    assert bench_own.usual_placements() == ("one",)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert bench_own.usual_placements() == ("one", "shard")
    monkeypatch.setattr(jax, "devices", lambda: [None])
    assert bench_own.usual_placements() == ("one",)


def test_a_way_to_compile_that_is_another_one_here_is_not_measured_twice(monkeypatch):
    monkeypatch.setattr(bench_own, "compiler_options", lambda compile: None)
    assert bench_own.usual_compiles() == ("safe",)
    made = opened([small("mlp")], compiles=["fast", "wide"])
    with pytest.raises(ConfigError, match="the same program as compile=fast"):
        made.prepare(made.cases[1])
    monkeypatch.setattr(bench_own, "compiler_options", lambda compile: {"way": compile})
    assert bench_own.same_program("wide", ["safe", "wide"]) is None
    assert bench_own.usual_compiles() == ("safe", "fast")


@pytest.mark.parametrize("placement", ["one", "shard"])
def test_a_case_trains_the_program_of_a_run(placement, monkeypatch):
    """A call makes `steps` optimiser steps on full batches; its operations are those of the MLP by hand."""
    calls = []
    make = bench_own.make_epoch

    def watched(step_for, layout):
        epoch = make(step_for, layout)

        def run(state, examples, order):
            calls.append((int(state.step), order, len(layout.devices)))
            return epoch(state, examples, order)

        return run

    monkeypatch.setattr(bench_own, "make_epoch", watched)
    made = opened([small("mlp")], placements=[placement], batch_sizes=[1000])
    ready = made.prepare(made.cases[0])
    weights = [rows * columns for rows, columns in itertools.pairwise((12, 8, 6, 4))]
    assert ready.flops == 2 * 1000 * (3 * sum(weights) - weights[0])
    count = {"one": 1, "shard": 4}[placement]
    assert ready.devices == f"cpu:{count}"
    ready.call()
    ready.call()
    assert [(begun, devices) for begun, _, devices in calls] == [(0, count), (ready.steps, count)]
    order = calls[0][1]
    assert order.shape == (ready.steps, 1000)
    assert set(order.ravel()) == set(range(made.facts["windows"]))


def test_the_type_of_a_case_is_that_of_its_products(monkeypatch):
    config, built, build = small("mlp"), [], bench_own.build_model
    monkeypatch.setattr(bench_own, "build_model", lambda *given: built.append(build(*given)) or built[-1])
    made = opened([config], dtypes=["float32", "bfloat16"])
    for case in made.cases:
        made.prepare(case)
    assert [model.dtype for model in built] == ["float32", "bfloat16"]


def test_the_operations_are_those_of_the_formula_and_not_of_the_kernel(monkeypatch):
    """An LSTM of one channel and five units, twelve steps back: the channel's own gradient is nobody's."""
    monkeypatch.setattr(bench_own, "make_epoch", lambda step_for, layout: None)
    made = opened([small("lstm", "model.kernel=fast")], batch_sizes=[10])
    products = 12 * 4 * 5 * (1 + 5) + 5 * 4
    assert made.prepare(made.cases[0]).flops == 2 * 10 * (3 * products - 12 * 4 * 5)


def test_the_peak_counts_two_operations_for_every_product_on_every_device(monkeypatch):
    monkeypatch.setattr(bench_own, "PEAK_SIZES", (16, 32))
    ticks = iter(np.arange(100.0))
    measures = [bench_own.product_peak(name) for name in ("cpu:1", "cpu:3")]
    monkeypatch.setattr(bench_own.time, "perf_counter", lambda: float(next(ticks)))
    assert [measure() for measure in measures] == [2 * 32**3, 3 * 2 * 32**3]


def test_memory_is_what_the_peak_rose():
    if read_memory("VmHWM") is None:
        pytest.skip("sizes of a process are read on Linux")
    rise = host_gauge()
    np.ones(1 << 26, np.uint8)  # gone at once: only the peak has seen it
    assert (1 << 26) * 0.9 < rise() < (1 << 26) * 2
    rise = host_gauge()
    np.ones(1 << 24, np.uint8)
    assert (1 << 24) * 0.9 < rise() < (1 << 26) * 0.9


def watched_bench(calls, broken=()):
    """A bench of three cases that notes its calls; a case in `broken` fails at its second call."""
    cases = [Case("gym_jax", "mlp", size, "float32", "one", "safe") for size in (1, 2, 3)]

    def prepare(case):
        if (case.batch_size, "prepare") in broken:
            raise MemoryError("too much\nmore")

        def call():
            calls.append(case.batch_size)
            if case.batch_size in broken and calls.count(case.batch_size) == 2:
                raise ConfigError("it broke")

        return Ready(call, 1, "cpu:1", 7)

    return Bench(cases, {"data": "none"}, prepare, lambda: lambda: 5, lambda: {"cpu:1": 1.0})


def served(bench, rounds, **job):
    said = []
    serve(
        lambda: bench,
        {"skip": [], "seconds": 0.0, **job},
        ["\n"] * rounds,
        lambda event, **facts: said.append((event, facts)),
    )
    return said


def test_cases_are_compiled_first_and_then_timed_in_turn_forwards_and_backwards():
    calls = []
    said = served(watched_bench(calls), rounds=3)
    assert calls == [1, 2, 3, 1, 2, 3, 3, 2, 1, 1, 2, 3]
    assert [event for event, _ in said][:8] == ["start", "begin", "ready", "begin", "ready", "begin", "ready", "done"]
    assert [event for event, _ in said][8:16] == ["peaks", "begin", "times", "begin", "times", "begin", "times", "done"]
    ready = said[2][1]
    assert (ready["case"], ready["memory"], ready["steps"], ready["flops"]) == (0, 5, 1, 7)


def test_a_case_that_fails_says_why_and_the_others_go_on():
    calls = []
    said = served(watched_bench(calls, broken={(1, "prepare"), 2}), rounds=2)
    faults = [(facts["case"], facts["reason"]) for event, facts in said if event == "fault"]
    assert faults == [(0, "MemoryError: too much"), (1, "it broke")]
    assert calls == [2, 3, 2, 3, 3]
    calls.clear()
    served(watched_bench(calls), rounds=1, skip=[0, 2])
    assert calls == [2, 2]


def test_an_error_of_the_data_arrives_whole():
    error = DataError("a; b", hint="c", attempt="gymjax d", code="data.problems")
    error.problems = (DataError("a", code="data.a"), DataError("b", hint="c"))
    error.findings = (Finding("gaps", "error", 3, 9, "rows", "three"),)

    def opening():
        raise error

    said = []
    serve(opening, {"skip": []}, [], lambda event, **facts: said.append((event, facts)))
    (event, facts), *rest = said
    assert (event, rest) == ("error", [])
    back = error_of(json.loads(json.dumps(facts)))
    assert type(back) is DataError
    assert back.facts() == error.facts()
    assert [problem.facts() for problem in back.problems] == [problem.facts() for problem in error.problems]
    assert back.findings == error.findings


@pytest.mark.parametrize(
    ("doing", "reason"),
    [
        pytest.param(
            *("os.kill(os.getpid(), 9)", "the system killed the process: out of memory, most likely"),
            marks=pytest.mark.posix,
        ),
        ("os.write(2, b'no such chip'); os._exit(3)", "the process died (exit code 3): no such chip"),
        ("raise ImportError('a broken build')", "ImportError: a broken build"),
    ],
)
def test_a_case_that_ends_its_process_is_a_row_and_not_the_end(tmp_path, monkeypatch, doing, reason):
    (tmp_path / "torch.py").write_text(f"import os\n{doing}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *map(str, sys.path)]))
    settings = peer_settings([small("mlp")], batch_sizes=[4, 8])
    arm, heard = Arm("torch", settings, 0.01), []
    try:
        prepare(arm, lambda event, facts: heard.append(event))
        measure(arm, lambda event, facts: heard.append(event))
    finally:
        stop(arm)
    assert arm.faults == {0: reason, 1: reason}
    assert heard.count("fault") == 2
    assert arm.process is None


def test_wrong_words_are_named_all_at_once_before_anything_runs():
    with pytest.raises(ConfigError) as raised:
        bench([small("mlp")], placements=["coers"], dtypes=["int8"], compiles=["sfe"], peers=["tensorflow"], seconds=-1)
    assert len(raised.value.problems) == 5
    assert "did you mean `cores`?" in raised.value.hint
    assert "choose from keras, torch, torch-compile" in raised.value.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"words": {"model": ["last"]}}, "--model last is not trained by gradient"),
        ({"batch_sizes": [4, 0]}, "--batch-size 0 is no number of windows"),
        ({"seconds": float("inf")}, "--seconds inf is no length of time"),
        ({"seconds": float("nan")}, "--seconds nan is no length of time"),
        ({"chart": "chart.jpeg"}, "--chart chart.jpeg is of no kind that is drawn"),
        ({"chart": "/no/such/folder/a.png"}, "--chart /no/such/folder/a.png can not be written"),
    ],
)
def test_what_can_not_be_compared_is_refused(given, message):
    (problem,) = find_problems(**{"words": {}, "batch_sizes": [4], "seconds": 1.0, **given})
    assert problem.message == message


def rows():
    fast = {"times": [0.1], "first": 1.0, "steps": 10}
    cases = [CASE, CASE._replace(compile="fast"), CASE._replace(by="torch", placement=None, compile=None)]
    cases += [case._replace(model="lstm") for case in cases]
    found = [row_of(case, **fast) for case in cases]
    found[3] = Row(*cases[3], fault="out of memory")
    return [*found, Row("keras", fault="keras is not installed")]


def test_the_chart_has_a_panel_a_model_a_colour_a_way_and_a_cross_for_a_fault(tmp_path):
    figure = make_figure(rows())
    assert [panel.get_title() for panel in figure.axes] == ["mlp", "lstm"]
    assert figure.axes[0].get_ylabel() == "windows per second (higher is better)"
    heights = [[bar.get_height() for bar in panel.patches] for panel in figure.axes]
    assert heights == [[6400.0] * 3, [6400.0] * 2]
    assert [line.get_marker() for line in figure.axes[1].lines] == ["x"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one, safe", "one, fast", "torch"]
    colours = [bar.get_facecolor() for bar in figure.axes[0].patches]
    assert len(set(colours)) == 3 <= len(set(COLOURS))
    assert figure.axes[1].patches[0].get_facecolor() == colours[1]
    path = tmp_path / "chart.png"
    path.write_text("an older one")
    assert draw_chart(rows(), path) == path
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert list(tmp_path.iterdir()) == [path]
    folder = tmp_path / "folder.png"
    folder.mkdir()
    with pytest.raises(StorageError, match="can not be written"):
        draw_chart(rows(), folder)
    assert set(tmp_path.iterdir()) == {path, folder}
    (problem,) = find_problems({}, batch_sizes=[4], seconds=1.0, chart=str(folder))
    assert problem.message == f"--chart {folder} can not be written"


def test_numbers_and_ways_are_short():
    assert [short(value) for value in (0, 999, 1234, 2.5e6)] == ["0", "999", "1.23k", "2.5M"]
    assert way_of(rows()[1]) == "one, fast"
    assert way_of(rows()[2]) == "torch"


def peer_settings(configs, **changed):
    return {
        "models": [config.model.model_dump(mode="json") for config in configs],
        "loss": "mae",
        "optimiser": {"kind": "adamw", "lr": 1e-3, "weight_decay": 1e-4},
        "clip": 1.0,
        "shape": {"context": 12, "horizon": 4, "channels": 1, "targets": 1},
        "platform": "cpu",
        "batch_sizes": [4],
        "dtypes": ["float32"],
        "steps": {},
        **changed,
    }


def test_a_peer_is_missing_when_its_package_is(monkeypatch):
    monkeypatch.setattr(bench_peers.importlib.util, "find_spec", lambda name: None if name == "keras" else name)
    assert {peer: bench_peers.is_missing(peer) for peer in bench_peers.PEERS} == {
        "torch": None,
        "torch-compile": None,
        "keras": "keras",
    }


def test_a_peer_has_our_settings_and_refuses_a_loss_it_does_not_know(monkeypatch):
    seen = []
    monkeypatch.setattr(bench_peers, "_torch", lambda *given, compiled: seen.append((given, compiled)))
    configs = [small("lstm"), small("mlp")]
    made = bench_peers.open_peer("torch-compile", **peer_settings(configs, steps={"mlp 4": 999, "lstm 4": 3}))
    assert [case.model for case in made.cases] == ["lstm", "mlp"]
    for case in made.cases:
        made.prepare(case)
    assert [given[1]["hidden"] for given, _ in seen] == [5, [8, 6]]
    assert [given[4] for given, _ in seen] == [3, 256]
    assert all(compiled for _, compiled in seen)
    made = bench_peers.open_peer("torch", **peer_settings(configs, loss="quantiles"))
    with pytest.raises(ConfigError, match="compared with loss=mae or mse or huber only, this is quantiles"):
        made.prepare(made.cases[0])


SAME = [
    small("mlp", "model.normalise=standard"),
    small("lstm", "model.layers=2"),
    small("lstm", "model.bidirectional=true", "model.normalise=none"),
    small("transformer"),
]


def our_parameters(config):
    made = opened([config])
    prepared, windows = bench_own._reader()(config)
    model = bench_own.build_model(bench_own.at(config, made.cases[0]), bench_own.shape_of(prepared))
    inputs = windows.take(jax.numpy.zeros(1, int)).inputs
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), inputs))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("by", ["torch", "keras"])
@pytest.mark.parametrize("config", SAME, ids=lambda config: config.model.kind)
def test_a_peer_trains_a_model_of_the_same_size(config, by, monkeypatch):
    """PyTorch's LSTM has a second bias in each layer and direction, nothing else differs."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip(by)
    settings, shape = config.model.model_dump(mode="json"), bench_peers.Shape(12, 4, 1, 1)
    if by == "torch":
        from gym_jax.run.bench_torch import make_torch

        count = sum(parameter.numel() for parameter in make_torch(settings, shape).parameters())
        if config.model.kind == "lstm":
            count -= config.model.layers * (1 + config.model.bidirectional) * 4 * config.model.hidden
    else:
        from gym_jax.run.bench_keras import make_keras

        count = make_keras(settings, shape).count_params()
    assert count == our_parameters(config)
    made = bench_peers.open_peer(by, **peer_settings([config], dtypes=["float32", "bfloat16"]))
    for case in made.cases:
        ready = made.prepare(case)
        ready.call()
        assert ready.devices == "cpu:1"
        assert ready.steps >= 1


def test_the_files_of_the_comparison_import_no_peer():
    code = "import sys, gym_jax.run.bench; print(sorted({'torch', 'keras', 'matplotlib.pyplot'} & set(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert out.stdout.strip() == "[]"
