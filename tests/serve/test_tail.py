"""A file of lines is read once, line by line, whatever becomes of it."""

import json
import os

import pytest

from gym_jax.serve.tail import AT_ONCE, Tail, signature


def write(path, *numbers, mode="w"):
    with path.open(mode) as file:
        file.writelines(f'{{"n": {number}}}\n' for number in numbers)


def numbers(tail):
    return [line["n"] for line in tail.read()]


def test_only_what_is_new_is_returned(tmp_path):
    tail = Tail(tmp_path / "m.jsonl")
    assert tail.read() == []
    write(tail.path, 1, 2)
    assert numbers(tail) == [1, 2]
    assert numbers(tail) == []
    write(tail.path, 3, mode="a")
    assert numbers(tail) == [3]
    assert tail.begun == 0


def test_a_line_waits_until_it_is_whole(tmp_path):
    tail = Tail(tmp_path / "m.jsonl")
    tail.path.write_text('{"n": 1}\n{"n": ')
    assert numbers(tail) == [1]
    with tail.path.open("a") as file:
        file.write("2}\n")
    assert numbers(tail) == [2]


def test_a_file_that_was_cut_replaced_or_rewritten_is_read_anew(tmp_path):
    tail = Tail(tmp_path / "m.jsonl")
    write(tail.path, 1, 2, 3)
    assert numbers(tail) == [1, 2, 3]
    write(tail.path, 1)  # shorter
    assert numbers(tail) == [1]
    write(tmp_path / "other", 1, 5, 6)
    os.replace(tmp_path / "other", tail.path)  # longer, another file
    assert numbers(tail) == [1, 5, 6]
    write(tail.path, 7, 5, 6, 8)  # longer, the same file with other bytes
    assert numbers(tail) == [7, 5, 6, 8]
    tail.path.unlink()
    assert numbers(tail) == []
    assert tail.begun == 4


@pytest.mark.posix
def test_damage_is_passed_over_and_a_pipe_does_not_hold_the_reader(tmp_path):
    tail = Tail(tmp_path / "m.jsonl")
    tail.path.write_bytes(b'{"n": 1}\nnonsense\n[1]\n\xff\xfe\n' + b"[" * 9000 + b'\n{"n": 2}\n')
    assert numbers(tail) == [1, 2]
    os.mkfifo(tmp_path / "pipe")
    assert Tail(tmp_path / "pipe").read() == []
    assert signature(tmp_path / "pipe") is None
    assert signature(tmp_path / "nowhere") is None
    assert Tail(tmp_path).read() == []


def test_a_line_without_an_end_is_given_up(tmp_path):
    tail = Tail(tmp_path / "m.jsonl")
    tail.path.write_text("x" * (AT_ONCE + 10) + '\n{"n": 1}\n')
    assert tail.read() == []
    assert numbers(tail) == [1]


def test_a_large_file_is_taken_in_at_several_looks(tmp_path):
    tail = Tail(tmp_path / "m.jsonl")
    line = json.dumps({"n": 1, "pad": "x" * 1000}) + "\n"
    count = 2 * AT_ONCE // len(line)
    tail.path.write_text(line * count)
    found = [len(tail.read()) for _ in range(4)]
    assert sum(found) == count
    assert max(found) < count
