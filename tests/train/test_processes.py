"""Several processes train as one: they meet, agree, have the bits of a single process, and end together."""

import functools
import json
import socket
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from ends import final, same
from jax.sharding import PartitionSpec as P
from processes import free_port, gymjax, start_processes
from small import MODELS, sgd, small_config, small_windows, without_dropout
from tolerances import PLACEMENT

from gym_jax import losses
from gym_jax.config import variables
from gym_jax.data import shuffled
from gym_jax.errors import ConfigError, PeerError
from gym_jax.run.folder import RunFolder
from gym_jax.run.several import refuse_several
from gym_jax.run.train import train_run
from gym_jax.train import processes
from gym_jax.train.checkpoint import saved_steps
from gym_jax.train.loop import train
from gym_jax.train.parallel import make_epoch, make_layout
from gym_jax.train.places import SMALL, is_apart
from gym_jax.train.rollcall import answer_rollcall, hold_rollcall
from gym_jax.train.step import init_state, make_train_step

WORKER = str(ROOT / "tests" / "group_worker.py")
WORDS = ["model=mlp", "model.hidden=[16]", "data.synthetic.series=3", "data.synthetic.days=3", "data.stride=8"]
WORDS += ["task.context=24", "task.horizon=4", "train.batch_size=16", "train.epochs=2", "evaluate.baselines=[last]"]


def work(count, folder, *, devices=2, seconds=240, ranks=None, **spec):
    """Let a group train `folder/run` and return what each process says of its end."""
    spec = {"folder": str(folder / "run"), **spec}
    running = start_processes([WORKER, json.dumps(spec)], count, folder, devices=devices, ranks=ranks)
    ended = running.wait(seconds)
    assert [one.code for one in ended] == [0] * len(ended), ended[0].err[-3000:]
    return json.loads(ended[0].out.splitlines()[-1])


def alone(folder, model, *overrides, part="test"):
    """Train the same run in this process, on one device."""
    config = small_config("unused", model, *overrides, "train.placement=one")
    return RunFolder(train_run(config, folder=folder / "alone", part=part).folder)


def call(port, count, ranks, seconds):
    """Hold a roll call and answer it as some processes; return what each was told, or its refusal."""
    told = {}

    def answer(place, rank):
        try:
            told[place] = answer_rollcall("127.0.0.1", port, rank, count if rank < 90 else 99, seconds)
        except ValueError as error:
            told[place] = str(error)

    threads = [threading.Thread(target=answer, args=one) for one in enumerate(ranks, 1)]
    for thread in threads:
        thread.start()
    told[0] = hold_rollcall("127.0.0.1", port, count, seconds)
    for thread in threads:
        thread.join()
    return told


def test_all_are_told_that_all_are_there():
    assert call(free_port(), 3, [1, 2], 20) == {0: [], 1: [], 2: []}


def test_all_are_told_who_is_missing():
    assert call(free_port(), 4, [2], 0.5) == {0: [1, 3], 1: [1, 3]}


def test_who_is_there_twice_or_counts_otherwise_is_refused_and_stops_nobody():
    told = call(free_port(), 3, [1, 97], 0.5)
    assert told[0] == told[1] == [2]
    assert "one of 99, and process 0 of 3" in told[2]
    twice = call(free_port(), 3, [1, 1], 0.5)
    assert twice[0] == [2]
    assert sorted(map(str, (twice[1], twice[2])))[0] == "[2]"
    assert any("another process says that it is number 1" in str(twice[place]) for place in (1, 2))


def test_a_stranger_at_the_port_does_no_harm():
    port, found = free_port(), []
    host = threading.Thread(target=lambda: found.append(hold_rollcall("127.0.0.1", port, 2, 20)))
    host.start()
    while True:
        try:
            stranger = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            continue
    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n\n")
    assert answer_rollcall("127.0.0.1", port, 1, 2, 20) == []
    host.join()
    stranger.close()
    assert found == [[]]


def test_nobody_at_the_address_is_process_0_that_did_not_come():
    assert answer_rollcall("127.0.0.1", free_port(), 1, 2, 0.2) == [0]


def joined(port, count, rank, host="127.0.0.1", seconds=0.3):
    group = {"GYMJAX_COORDINATOR": f"{host}:{port}", "GYMJAX_PROCESSES": str(count), "GYMJAX_PROCESS": str(rank)}
    return processes.join(join_seconds=seconds, environ=group)


def test_what_is_wrong_is_said_before_jax_is_told_of_others():
    with pytest.raises(PeerError, match=r"^processes 1, 2 of 3 did not come to 127.0.0.1:\d+ within 0.3 s$"):
        joined(free_port(), 3, 0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match=r"process 0 can not use .* in use"):
            joined(other.getsockname()[1], 2, 0)
    with pytest.raises(ConfigError, match=r"process 1 can not use no\.host\.invalid"):
        joined(7777, 2, 1, host="no.host.invalid")
    for port, count, rank in ((0, 2, 0), (7777, 2, 2), ("x", 2, 0), (7777, "two", 0), (7777, 2, "")):
        with pytest.raises(ConfigError, match="do not say which of several processes"):
            joined(port, count, rank)


def test_without_others_it_is_a_group_of_one_that_waits_for_nobody(monkeypatch):
    assert processes.join(environ={}) == (0, 1)
    assert processes.group().writer
    assert joined(7777, 1, 0) == (0, 1)
    assert processes.gather("x", 5) == [5]
    assert processes.broadcast("x", "y") == "y"
    processes.barrier("x")
    for name in ("SLURM_JOB_ID", "KUBERNETES_SERVICE_HOST", "OMPI_MCA_orte_hnp_uri", "TPU_WORKER_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"train\.processes=auto finds no group"):
        processes.join("auto", environ={})


def test_a_cluster_says_who_is_who_when_it_is_asked(monkeypatch):
    slurm = {"JOB_ID": "7", "STEP_NODELIST": "localhost", "NTASKS": "2", "PROCID": "0", "LOCALID": "0"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert processes.join(environ={}) == (0, 1)  # nobody asked
    with pytest.raises(PeerError, match=r"process 1 of 2 did not come to localhost:\d+"):
        processes.join("auto", join_seconds=0.3, environ={})


def test_the_variables_are_no_settings():
    assert {processes.COORDINATOR, processes.PROCESSES, processes.PROCESS} == variables.GROUP


def test_what_is_not_shared_by_processes_says_so(monkeypatch):
    monkeypatch.setenv(processes.PROCESSES, "2")
    with pytest.raises(ConfigError, match="gymjax tune is not shared by 2 processes"):
        refuse_several("gymjax tune", "hint")
    monkeypatch.setenv(processes.PROCESSES, "1")
    refuse_several("gymjax tune", "hint")


def test_a_leaf_is_parted_along_its_largest_axis_that_divides():
    layout = make_layout("shard", 4, parameters="shard")
    tree = {
        "tall": np.zeros((4096, 8)),
        "wide": np.zeros((8, 4096)),
        "odd": np.zeros((4097, 8)),
        "prime": np.zeros((67, 67)),
        "small": np.zeros(SMALL),
        "key": jax.random.key(0),
    }
    specs = {name: place.spec for name, place in layout.shardings(tree).items()}
    assert specs == {
        "tall": P("data"), "wide": P(None, "data"), "odd": P(None, "data"), "prime": P(), "small": P(), "key": P()
    }  # fmt: skip


def parts_of(state):
    """Return the bytes of a state that the first device holds."""
    parts = [part for leaf in jax.tree.leaves(state) for part in leaf.addressable_shards]
    return sum(part.data.nbytes for part in parts if part.device == jax.devices()[0])


def begun(parameters):
    """Return layout, model, optimiser, examples and the state before the first step."""
    layout, tx = make_layout("shard", 4, parameters=parameters), sgd()
    model, examples = without_dropout(MODELS["mlp"]).clone(hidden=(256, 256)), layout.replicate(small_windows())
    state = init_state(model, tx, jax.random.key(0), examples.take(jnp.arange(2)).inputs)
    return layout, model, tx, examples, layout.place(state)


def test_parameters_in_parts_take_a_quarter_of_the_memory():
    state = {"weights": np.zeros((256, 256), np.float32), "bias": np.zeros(256, np.float32)}
    held = [parts_of(make_layout("shard", 4, parameters=how).place(state)) for how in ("replicate", "shard")]
    assert held == [4 * (256 * 256 + 256), 4 * (256 * 256 // 4 + 256)]


@pytest.mark.slow
def test_parameters_in_parts_learn_the_same():
    ends = []
    for parameters in ("replicate", "shard"):
        layout, model, tx, examples, state = begun(parameters)
        step_for = functools.partial(make_train_step, model, losses.huber, tx)
        order = functools.partial(shuffled, 0, count=len(examples), batch_size=16)
        *_, progress = train(make_epoch(step_for, layout), state, examples, order, epochs=2, chunk=7)
        ends.append(progress.state)
    for left, right in zip(*map(jax.tree.leaves, (ends[0].params, ends[1].params)), strict=True):
        np.testing.assert_allclose(left, right, atol=PLACEMENT, rtol=0)
    assert parts_of(ends[1].params) < 0.3 * parts_of(ends[0].params)
    assert not is_apart(ends[1])  # of a single process all of it is here


@pytest.mark.parametrize("name", ["one", "pmap"])
def test_a_placement_that_has_no_several_processes_is_refused(name, monkeypatch):
    monkeypatch.setattr(processes._Joined, "group", processes.Group(0, 2))
    with pytest.raises(ConfigError, match=f"train.placement={name} does not go with 2 processes"):
        make_layout(name)


def test_two_processes_have_the_bits_of_one(tmp_path):
    settings = ["train.shards=2", "train.epochs=1", "train.chunk=7", "model.hidden=[4]", "model.dropout=0"]
    ended = work(2, tmp_path, devices=1, model="mlp", overrides=settings, part=None)
    assert [one["status"] for one in ended] == ["done", "done"]
    assert ended[0]["told"] > 0 == ended[1]["told"]
    run, other = RunFolder(tmp_path / "run"), alone(tmp_path, "mlp", *settings, part=None)
    config = small_config("unused", "mlp", *settings)
    same(final(run, config), final(other, config))
    assert [line["event"] for line in run.read_lines("log.jsonl")] == ["started", "epoch", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("placement", ["cores", "auto"])
def test_every_model_has_the_bits_of_one_process(tmp_path, model, placement):
    overrides = ["train.shards=4", "train.epochs=2", f"train.placement={placement}"]
    work(2, tmp_path, model=model, overrides=overrides)
    config = small_config("unused", model, "train.shards=4", "train.epochs=2")
    left, right = (final(run, config) for run in (RunFolder(tmp_path / "run"), alone(tmp_path, model, *overrides[:2])))
    same(left, right)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("how", ["cores", "shard", "parts"])
def test_every_model_learns_the_same_without_canonical_shards(tmp_path, model, how):
    plain = ["model.dropout=0", "train.epochs=1", "optim=sgd", "optim.lr=0.05"]
    settings = ["train.parameters=shard"] if how == "parts" else [f"train.placement={how}"]
    work(2, tmp_path, model=model, overrides=[*plain, *settings])
    config = small_config("unused", model, *plain)
    left, right = (final(run, config)[0] for run in (RunFolder(tmp_path / "run"), alone(tmp_path, model, *plain)))
    for one, other in zip(jax.tree.leaves(left.params), jax.tree.leaves(right.params), strict=True):
        np.testing.assert_allclose(one, other, atol=PLACEMENT, rtol=0)


@pytest.mark.slow
def test_a_run_goes_on_in_any_number_of_processes_to_the_bit(tmp_path):
    """2 processes of 2 devices, 1 of 4, 4 of 1; it is stopped in the middle of an epoch twice."""
    spec = {"model": "mlp", "overrides": ["train.shards=4"]}
    assert work(2, tmp_path, stop=7, **spec)[1] == {"status": "stopped", "code": 143, "told": 0, "devices": 4}
    four = {**spec, "overrides": ["train.shards=4", "train.placement=cores", "train.devices=4"]}
    work(1, tmp_path, devices=4, stop=4, resume=True, **four)
    work(4, tmp_path, devices=1, resume=True, **spec)
    run = RunFolder(tmp_path / "run")
    same(final(run), final(alone(tmp_path, "mlp", "train.shards=4")))
    moves = [(line["processes"], line["devices"]) for line in run.read_lines("log.jsonl") if line["event"] == "moved"]
    assert moves == [(1, 4), (4, 4)]


@pytest.mark.slow
def test_a_stop_that_reaches_one_process_is_that_of_all(tmp_path):
    """They agree on the step, and no step is lost."""
    spec = {"model": "mlp", "overrides": ["train.shards=4", "train.epochs=2"]}
    ended = work(2, tmp_path, stop=4, stopped=1, **spec)
    assert [one["code"] for one in ended] == [143, 143]
    run = RunFolder(tmp_path / "run")
    assert saved_steps(run.checkpoints)[-1] == 12  # the fourth chunk of three steps was on its way
    work(2, tmp_path, resume=True, **spec)
    config = small_config("unused", "mlp", *spec["overrides"])
    same(final(run, config), final(alone(tmp_path, "mlp", *spec["overrides"]), config))


@pytest.mark.slow
def test_parameters_in_parts_go_on_in_any_number_of_processes(tmp_path):
    """Each process writes its own; the step can be read in a single process, whole."""
    settings = ["train.parameters=shard", "model.hidden=[128,128]", "model.dropout=0", "train.epochs=2"]
    spec = {"model": "mlp", "overrides": settings}
    work(2, tmp_path, stop=3, **spec)
    run = RunFolder(tmp_path / "run")
    (step,) = saved_steps(run.checkpoints)
    wrote = {path.name for path in (run.checkpoints / str(step) / "state").glob("ocdbt.process_*")}
    assert wrote == {"ocdbt.process_0", "ocdbt.process_1"}
    work(1, tmp_path, devices=4, stop=4, resume=True, **spec)
    work(4, tmp_path, devices=1, resume=True, **spec)
    config = small_config("unused", "mlp", *settings[1:])
    left, right = (final(one, config) for one in (run, alone(tmp_path, "mlp", *settings[1:])))
    for one, other in zip(jax.tree.leaves(left[0].params), jax.tree.leaves(right[0].params), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=0)  # adamw blows rounding up
    lines = [[json.loads(line) for line in text.splitlines()] for text in (left[2], right[2])]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]
    assert np.allclose([line["val_loss"] for line in lines[0]], [line["val_loss"] for line in lines[1]], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_step_that_one_process_has_not_written_is_never_taken_up(tmp_path, rank, when):
    settings = ["train.parameters=shard", "model.hidden=[128,128]", "train.epochs=2", "train.peer_seconds=3"]
    spec = {"model": "mlp", "overrides": [*settings, "run.save_seconds=0"]}
    words = [WORKER, json.dumps({**spec, "folder": str(tmp_path / "run"), "dies": [rank, when]})]
    codes = [one.code for one in start_processes(words, 2, tmp_path).wait(240)]
    assert codes[rank] == 9
    assert codes[1 - rank] not in (0, 9)
    run = RunFolder(tmp_path / "run")
    assert saved_steps(run.checkpoints) == [3, 6]  # 9 was on its way
    work(2, tmp_path, resume=True, **spec)
    assert [line["step"] for line in run.read_lines("metrics.jsonl")] == [14, 28]
    assert {"event": "resumed", "step": 6, "epoch": 0}.items() <= run.read_lines("log.jsonl")[1].items()


@pytest.mark.slow
def test_a_process_that_dies_takes_the_others_along_in_time(tmp_path):
    """JAX itself waits for 100 seconds by default."""
    words = ["-m", "gym_jax", "train", *WORDS, "train.epochs=100000", "train.peer_seconds=3", "train.patience=null"]
    running = start_processes([*words, "--run-dir", str(tmp_path / "run")], 2, tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.processes[1].kill()
    first, other = running.wait(15)
    assert other.code == -9
    assert first.code not in (0, -9)


@pytest.mark.slow
def test_one_document_on_stdout_and_nothing_from_the_others(tmp_path):
    """Gloo would tell there who has met."""
    first, other = gymjax(["train", *WORDS, "--run-dir", str(tmp_path / "run"), "--json"], 2, tmp_path)
    assert first.code == other.code == 0, first.err
    assert json.loads(first.out)["run_status"] == "done"
    assert other.out == other.err == ""


@pytest.mark.slow
def test_a_closed_form_model_is_solved_by_all_and_written_by_one(tmp_path):
    words = [word for word in WORDS if not word.startswith("model")]
    first, other = gymjax(["train", *words, "model=linear", "--run-dir", str(tmp_path / "run")], 2, tmp_path)
    assert first.code == other.code == 0, first.err
    assert RunFolder(tmp_path / "run").read_json("status.json")["status"] == "done"


@pytest.mark.slow
def test_what_one_process_lacks_ends_all_before_anything_is_written(tmp_path):
    """The data of process 1 are not where it looks."""
    each = [[f"data.path={tmp_path / name}"] for name in ("there.csv", "absent.csv")]
    start = ["ds,unique_id,cpu", *(f"2026-01-01T{n // 12:02}:{n % 12 * 5:02}:00,a,{n % 7}" for n in range(288))]
    (tmp_path / "there.csv").write_text("\n".join(start))
    words = [
        "train",
        *(word for word in WORDS if "synthetic" not in word),
        "--target",
        "cpu",
        "--root",
        str(tmp_path / "runs"),
    ]
    first, other = gymjax(words, 2, tmp_path, each=each)
    assert first.code == 7
    assert "process 1 of 2 failed" in first.err
    assert "absent.csv" in first.err
    assert other.code == 3
    assert "process 1: error: " in other.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_several_seeds_and_searches_are_refused_in_words(tmp_path):
    for words in (["train", *WORDS, "train.seeds=2"], ["tune", "optim.lr=1e-3,1e-2"], ["train", *WORDS, "--dry-run"]):
        for one in gymjax([*words, "--root", str(tmp_path / "runs")], 2, tmp_path):
            assert one.code == 2, one.err
            assert "2 processes" in one.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_missing_process_is_named_by_all_that_came(tmp_path):
    words = ["-m", "gym_jax", "train", *WORDS, "train.join_seconds=6", "--root", str(tmp_path / "runs")]
    for one in start_processes(words, 3, tmp_path, ranks=[0, 2]).wait(60):
        assert one.code == 7
        assert "error: process 1 of 3 did not come to 127.0.0.1" in one.err
    assert not (tmp_path / "runs").exists()
