"""Compiled programs are kept in a private folder when one is named, and nowhere else."""

import os
import subprocess
import sys

import pytest

from gym_jax.errors import ConfigError, StorageError
from gym_jax.train.cache import keep_programs

CODE = """
import sys, logging
from gym_jax.train.cache import keep_programs
import jax, jax.numpy as jnp
keep_programs(sys.argv[1])
hits = []
jax._src.monitoring.register_event_listener(lambda name, **kw: hits.append(name))
import jax._src.compilation_cache
print(float(jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((8, 8)))[0, 0]))
print(hits.count("/jax/compilation_cache/cache_hits"))
"""


def in_a_process(folder):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", CODE, folder], env=settings, capture_output=True, text=True, check=True
    )
    value, hits = done.stdout.split()
    return float(value), int(hits)


@pytest.mark.posix
def test_a_second_process_takes_what_the_first_compiled(tmp_path):
    first, second = in_a_process(tmp_path / "own"), in_a_process(tmp_path / "own")
    assert first[0] == second[0]
    assert first[1] == 0 < second[1]
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


@pytest.mark.posix
def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="others can write to") as caught:
        keep_programs(tmp_path)
    assert caught.value.attempt == f"chmod 700 {tmp_path}"


def test_a_folder_that_can_not_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can not be kept"):
        keep_programs(tmp_path / "file")
