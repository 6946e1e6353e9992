"""The trace arrives, a second one too; nothing is printed; a busy profiler and a full disk are said in words."""

import gzip
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from gym_jax.errors import GymJaxError, StorageError
from gym_jax.train.profile import profiled


@jax.jit
def recognisable(x):
    return (x @ x).sum()


def work():
    return recognisable(jnp.ones((64, 64))).block_until_ready()


def traces(folder):
    return sorted((folder / "plugins" / "profile").glob("*"))


def test_every_trace_arrives_even_two_within_a_second(tmp_path):
    for number in (1, 2, 3):
        with profiled(tmp_path / "traces"):
            work()
        assert len(traces(tmp_path / "traces")) == number
    for session in traces(tmp_path / "traces"):
        assert next(session.glob("*.xplane.pb")).stat().st_size > 0
        assert b"recognisable" in gzip.decompress(next(session.glob("*.trace.json.gz")).read_bytes())
    assert [path.name for path in (tmp_path / "traces").iterdir()] == ["plugins"]


def test_without_a_folder_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with profiled(None), profiled(None):
        work()
    assert not list(tmp_path.iterdir())


def test_a_running_trace_is_refused_and_survives(tmp_path):
    with profiled(tmp_path / "outer"):
        with pytest.raises(GymJaxError, match="already been started") as caught, profiled(str(tmp_path / "inner")):
            pytest.fail("the block must not run")
        work()
    assert "one thing at a time" in caught.value.hint
    assert "try: jax.profiler.stop_trace()" in caught.value.lines()
    assert len(traces(tmp_path / "outer")) == 1
    assert not traces(tmp_path / "inner")


def test_an_error_in_the_block_passes_and_the_trace_is_kept(tmp_path):
    with pytest.raises(ZeroDivisionError), profiled(tmp_path):
        recognisable(jnp.ones((2, 2))).item() / 0
    assert len(traces(tmp_path)) == 1
    with profiled(tmp_path):
        work()


def test_a_folder_that_can_not_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can not be written"), profiled(tmp_path / "file"):
        pytest.fail("the block must not run")
    with profiled(tmp_path / "folder"):
        work()


def test_nothing_is_printed(tmp_path):
    code = (
        "import jax, jax.numpy as jnp\nfrom gym_jax.train.profile import profiled\n"
        f"for _ in range(2):\n with profiled({str(tmp_path)!r}): jax.jit(jnp.sum)(jnp.ones(9)).block_until_ready()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert len(traces(tmp_path)) == 2
