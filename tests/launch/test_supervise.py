"""A launcher and tiny commands: who ends first is told, nobody outlives the others, all begin again where it pays."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import ROOT

from gym_jax.errors import GymJaxError, Interrupted, PeerError
from gym_jax.launch.child import LAUNCH
from gym_jax.launch.supervise import newest_step, supervise
from gym_jax.train.manifest import write_manifest

BEGIN = """
import os, signal, sys, time
from pathlib import Path
rank, place = int(os.environ.get("GYMJAX_PROCESS", 0)), Path(os.environ["GYMJAX_LAUNCH"])
def note(name):
    part = Path(sys.argv[1]) / f".{name}"
    part.write_text(str(os.getpid()))
    part.rename(part.with_name(name))  # whole as soon as it is there
note(f"rank-{rank}")
"""
FOR_EVER = "\nwhile True: time.sleep(60)\n"


@pytest.fixture
def launched(tmp_path):
    """Run processes of a few lines of Python; return what process 0 printed, and have what was told in a list."""

    def run(lines, count=2, **how):
        lines = BEGIN + lines
        command = [sys.executable, "-S", "-c", lines, str(tmp_path)]
        run.said, run.again = [], []
        say, tell = lambda rank, line: run.said.append((rank, line)), run.again.append
        return supervise(command, count, say=say, tell=tell, **{"pause": 0.01, "grace": 0.3, **how})

    return run


def gone(pid):
    """Return whether a process has ended; one that is ended but not yet asked for counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.posix
def test_the_result_is_that_of_process_0_and_lines_are_told_with_their_rank(launched):
    out = launched('print("out", rank)\nprint("err", rank, os.environ["GYMJAX_PROCESSES"], file=sys.stderr)\n', 3)
    assert out == b"out 0\n"
    assert sorted(launched.said) == [(rank, f"err {rank} 3") for rank in range(3)]


@pytest.mark.posix
def test_one_alone_is_told_of_no_others(launched):
    assert launched('print([name for name in os.environ if name[:14] == "GYMJAX_PROCESS"])\n', 1) == b"[]\n"


@pytest.mark.posix
@pytest.mark.parametrize("obeys", [True, False], ids=["obeys", "heeds no SIGTERM"])
def test_when_one_ends_badly_all_end_and_the_first_one_is_named(obeys, launched, tmp_path):
    deaf = "" if obeys else "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    lines = f'{deaf}note(f"ready-{{rank}}")\nif rank == 1:\n'
    lines += '    while not (Path(sys.argv[1]) / "ready-0").exists(): time.sleep(0.01)\n    sys.exit(3)\n'
    with pytest.raises(GymJaxError, match="process 1 of 2 left with status 3 without a word") as caught:
        launched(lines + FOR_EVER)
    assert caught.value.exit_code == 3
    assert all(gone(int((tmp_path / f"rank-{rank}").read_text())) for rank in range(2))


@pytest.mark.posix
def test_a_killed_process_is_a_peer_that_is_gone(launched):
    with pytest.raises(PeerError, match="process 0 of 2 was killed by SIGKILL") as caught:
        launched("if rank == 0: os.kill(os.getpid(), signal.SIGKILL)\n" + FOR_EVER)
    assert caught.value.exit_code == 7


TELLS = """
sys.path.insert(0, {root!r})
from gym_jax.errors import DataError, PeerError
from gym_jax.launch.child import tell_error
"""


@pytest.mark.posix
def test_what_a_process_says_itself_is_the_error_also_when_a_peer_leaves_before_it(launched):
    lines = TELLS.format(root=str(ROOT))
    lines += 'error = PeerError("a peer is gone") if rank == 0 else DataError("no column", hint="h", attempt="t")\n'
    lines += 'tell_error(error)\nnote(f"told-{rank}")\n'
    lines += 'while not (Path(sys.argv[1]) / f"told-{1 - rank}").exists(): time.sleep(0.01)\n'
    lines += "if rank: time.sleep(0.1)\nsys.exit(error.exit_code)\n"
    with pytest.raises(GymJaxError) as caught:
        launched(lines, restarts=3)
    assert caught.value.lines() == ["error: process 1 of 2: no column", "hint: h", "try: t"]
    assert (caught.value.exit_code, launched.again) == (3, []), "data do not get better by another attempt"


CRASHES = """
import json
attempt = json.loads((place / "launch.json").read_text())["attempt"]
(place / "run").write_text(sys.argv[1])
if attempt < {times}: sys.exit(1)
print("done at", attempt)
"""


@pytest.mark.posix
def test_all_begin_again_until_it_goes_well_and_only_the_last_result_counts(launched):
    lines = 'print("half")\n' + CRASHES.format(times=2)
    assert launched(lines, restarts=3) == b"half\ndone at 2\n"
    assert [(again.restart, again.step) for again in launched.again] == [(1, 0), (2, 0)]


@pytest.mark.posix
def test_two_restarts_without_a_newer_checkpoint_are_the_last(launched):
    with pytest.raises(GymJaxError, match="status 1") as caught:
        launched(CRASHES.format(times=99), restarts=50)
    assert [again.restart for again in launched.again] == [1, 2]
    assert caught.value.hint.startswith("2 restarts brought no newer checkpoint than step 0; ")
    assert [again.pause for again in launched.again] == [0.01, 0.02], "it waits twice as long"


def step_of(folder, step):
    path = folder / "checkpoints" / str(step)
    path.mkdir(parents=True)
    (path / "numbers").write_text("1 2 3")
    write_manifest(path, {"step": step})
    return path


@pytest.mark.posix
def test_progress_is_a_newer_whole_checkpoint(launched, tmp_path, monkeypatch):
    saves = f"sys.path.insert(0, {str(ROOT)!r})\nfrom gym_jax.train.manifest import write_manifest\n"
    saves += 'import json\nattempt = json.loads((place / "launch.json").read_text())["attempt"]\n'
    saves += 'step = Path(sys.argv[1]) / "checkpoints" / str(attempt)\nstep.mkdir(parents=True)\n'
    saves += '(step / "numbers").write_text("1 2 3")\nif attempt < 4: write_manifest(step, {"step": attempt})\n'
    with pytest.raises(GymJaxError):
        launched(saves + CRASHES.format(times=99), 1, restarts=9)
    assert [again.step for again in launched.again] == [0, 1, 2, 3, 3, 3][: len(launched.again)]
    assert len(launched.again) == 5, "step 4 was never whole: the attempts that left it at 3 were the last"


def test_a_damaged_step_is_no_progress(tmp_path):
    step_of(tmp_path, 10)
    step_of(tmp_path, 20)
    assert newest_step(tmp_path) == 20
    (tmp_path / "checkpoints" / "20" / "numbers").write_text("1 2 4")
    assert newest_step(tmp_path) == 10
    assert newest_step(tmp_path / "nowhere") == 0


def test_a_run_of_several_seeds_gets_on_when_one_of_them_does(tmp_path):
    step_of(tmp_path / "members" / "0", 10)
    step_of(tmp_path / "members" / "1", 30)
    assert newest_step(tmp_path) == 40


SAVES = """
def leave(number, frame):
    if rank == 0: time.sleep(0.3)
    note(f"saved-{rank}")
    os._exit(128 + number)
signal.signal(signal.SIGTERM, leave); signal.signal(signal.SIGINT, leave)
note(f"ready-{rank}")
"""


def when(paths, act):
    """Do something from another thread as soon as all these files are there."""

    def wait():
        end = time.monotonic() + 20
        while not all(path.exists() for path in paths) and time.monotonic() < end:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_and_each_is_left_to_save(number, launched, tmp_path):
    thread = when([tmp_path / f"ready-{rank}" for rank in range(2)], lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted) as caught:
        launched(SAVES + FOR_EVER, restarts=3)
    thread.join()
    assert caught.value.exit_code == 128 + number
    assert (tmp_path / "saved-0").exists(), "process 1 left first, and process 0 was still let save"
    assert launched.again == []


@pytest.mark.posix
def test_who_is_asked_to_stop_and_fails_is_not_started_again(launched, tmp_path):
    fails = 'signal.signal(signal.SIGTERM, lambda number, frame: os._exit(1))\nnote(f"ready-{rank}")\n'
    thread = when([tmp_path / "ready-0"], lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(GymJaxError, match="status 1"):
        launched(fails + FOR_EVER, 1, restarts=3)
    thread.join()
    assert launched.again == []


@pytest.mark.posix
def test_a_second_signal_ends_those_that_do_not_heed(launched, tmp_path):
    def both():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = when([tmp_path / f"ready-{rank}" for rank in range(2)], both)
    with pytest.raises(GymJaxError):
        launched('signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote(f"ready-{rank}")\n' + FOR_EVER)
    thread.join()
    assert all(gone(int((tmp_path / f"rank-{rank}").read_text())) for rank in range(2))


@pytest.mark.posix
def test_a_signal_between_two_attempts_is_heeded(launched, tmp_path):
    thread = when([tmp_path / "rank-0"], lambda: (time.sleep(0.2), os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(Interrupted, match="SIGTERM between two attempts"):
        launched("sys.exit(1)\n", 1, restarts=1, pause=20)
    thread.join()


@pytest.mark.posix
def test_a_stuck_process_has_the_others_say_where_they_stand(launched, tmp_path):
    lines = TELLS.format(root=str(ROOT)) + "from gym_jax.launch.child import follow_launcher\nfollow_launcher()\n"
    lines += 'note(f"ready-{rank}")\nif rank == 0:\n'
    lines += '    while not (Path(sys.argv[1]) / "ready-1").exists(): time.sleep(0.01)\n    sys.exit(7)\n'
    with pytest.raises(GymJaxError):
        launched(lines + "def stands_here():" + FOR_EVER.replace("\n", "\n    ") + "\nstands_here()\n")
    assert any(rank == 1 and "stands_here" in line for rank, line in launched.said)


LAUNCHER = """
import sys
from gym_jax.launch.supervise import supervise
supervise(sys.argv[1:], 2, say=lambda rank, line: None)
"""


@pytest.mark.posix
@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that ends children with their parent")
def test_nobody_outlives_a_killed_launcher(tmp_path):
    lines = (
        BEGIN + TELLS.format(root=str(ROOT)) + "from gym_jax.launch.child import follow_launcher\nfollow_launcher()\n"
    )
    lines += 'note(f"ready-{rank}")\n' + FOR_EVER
    command = [sys.executable, "-S", "-c", LAUNCHER, sys.executable, "-S", "-c", lines, str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if key != LAUNCH} | {"PYTHONPATH": str(ROOT)}
    launcher = subprocess.Popen(command, env=environment)
    try:
        end = time.monotonic() + 20
        while not all((tmp_path / f"ready-{rank}").exists() for rank in range(2)):
            assert time.monotonic() < end
            assert launcher.poll() is None
            time.sleep(0.01)
        pids = [int((tmp_path / f"ready-{rank}").read_text()) for rank in range(2)]
        assert not any(map(gone, pids))
        launcher.kill()
        launcher.wait()
        while not all(map(gone, pids)):
            assert time.monotonic() < end, "they live on without their launcher"
            time.sleep(0.01)
    finally:
        launcher.kill()
        launcher.wait()


@pytest.mark.posix
def test_a_result_is_there_though_somebody_holds_its_pipe_open(launched):
    held = "import subprocess\nif rank == 0: subprocess.Popen(['sleep', '3'], stderr=subprocess.DEVNULL)\n"
    assert launched(held + 'print("out", rank)\n') == b"out 0\n"
