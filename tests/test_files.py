"""Files that appear whole, also when two processes write one at once."""

import os

from gym_jax.files import whole_file


def test_two_processes_that_write_one_file_write_beside_each_other(tmp_path, monkeypatch):
    own, other = os.getpid(), os.getpid() + 1
    with whole_file(tmp_path / "a.csv", ".csv") as (path, first):
        first.write_text("of the first")
        monkeypatch.setattr(os, "getpid", lambda: other)
        with whole_file(tmp_path / "a.csv", ".csv") as (_, second):
            second.write_text("of the second")
        monkeypatch.setattr(os, "getpid", lambda: own)
        assert path.read_text() == "of the second"
        assert first.read_text() == "of the first"
    assert path.read_text() == "of the first"
    assert list(tmp_path.iterdir()) == [path]
