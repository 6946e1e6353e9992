"""Event files by hand: the checksum's published vector, frames, what is cut short or changed, one message in bytes."""

import struct

import pytest

from gym_jax.track import events


def test_the_checksum_is_that_of_the_standard():
    assert events.crc32c(b"123456789") == 0xE3069283
    assert events.crc32c(bytes(32)) == 0x8A9136AA, "RFC 3720, B.4"


def test_a_point_in_bytes():
    body = events.scalars_event(1.5, 300, {"loss": 0.5})
    value = b"\x0a\x04loss" + b"\x15" + struct.pack("<f", 0.5)
    summary = b"\x0a" + bytes([len(value)]) + value
    assert body == b"\x09" + struct.pack("<d", 1.5) + b"\x10\xac\x02" + b"\x2a" + bytes([len(summary)]) + summary
    assert events.step_of(body) == 300
    assert events.step_of(events.version_event(1.5)) == -1


def test_a_number_beyond_float32_is_infinite():
    low = events.scalars_event(0.0, 0, {"x": -1e300})
    assert low.endswith(struct.pack("<f", float("-inf")))


def test_whole_records_are_read_and_the_rest_is_left():
    bodies = [events.scalars_event(0.0, step, {"loss": 1.0}) for step in (1, 2, 3)]
    data = b"".join(map(events.framed, bodies))
    assert [body for _, body in events.frames(data)] == bodies
    ends = [end for end, _ in events.frames(data)]
    assert ends[-1] == len(data)
    for cut in (1, 5, len(bodies[2]), len(events.framed(bodies[2])) - 1):
        assert [end for end, _ in events.frames(data[: ends[1] + cut])] == ends[:2], "cut short"
    for place in (ends[0] + 3, ends[0] + 9, ends[0] + 20, ends[1] - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        assert [end for end, _ in events.frames(bytes(changed))] == ends[:1], "a bit of the second is another"


def test_a_picture_must_be_a_png():
    with pytest.raises(ValueError, match="no PNG"):
        events.image_event(0.0, 0, "curves", b"GIF89a" + bytes(40))
