"""TensorBoard's event files by hand: Protocol Buffers in TFRecord frames, with what is needed of either.

The messages are `Event` and `Summary` of TensorFlow (event.proto, summary.proto) and `HParamsPluginData` of TensorBoard
(plugins/hparams/plugin_data.proto); a frame is a length and a body, each with a masked CRC-32C (RFC 3720).
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

FLOAT, STRING = 1, 7
"""Of TensorFlow's DataType."""
ENDED = {"done": 1, "failed": 2}
"""HParams' Status of a session that is over."""


def _table() -> tuple[int, ...]:
    out = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        out.append(value)
    return tuple(out)


TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli)."""
    crc, table = 0xFFFFFFFF, TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def framed(body: bytes) -> bytes:
    """Return a TFRecord: length, its checksum, body, its checksum."""
    length = struct.pack("<Q", len(body))
    return length + _masked(length) + body + _masked(body)


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each whole record with the place where it ends; what a broken or changed one holds is not read."""
    place = 0
    while place + 12 <= len(data):
        length = data[place : place + 8]
        body = place + 12
        end = body + struct.unpack("<Q", length)[0]
        whole = _masked(length) == data[place + 8 : body] and end + 4 <= len(data)
        if not whole or _masked(data[body:end]) != data[end : end + 4]:
            return
        place = end + 4
        yield place, data[body:end]


def version_event(time: float) -> bytes:
    """Return the event that opens a file."""
    return _double(1, time) + _bytes(3, b"brain.Event:2")


def scalars_event(time: float, step: int, numbers: Mapping[str, float]) -> bytes:
    """Return numbers of a step, as float32: TensorBoard keeps no others."""
    values = [_bytes(1, name.encode()) + _float(2, number) for name, number in numbers.items()]
    return _summary(time, step, *values)


def text_event(time: float, step: int, name: str, markdown: str) -> bytes:
    """Return a text."""
    tensor = _integer(1, STRING) + _bytes(2, _bytes(2, _integer(1, 1))) + _bytes(8, markdown.encode())
    return _summary(time, step, _bytes(1, name.encode()) + _bytes(8, tensor) + _plugin("text", b""))


def image_event(time: float, step: int, name: str, png: bytes) -> bytes:
    """Return a picture. Raises ValueError when it is no PNG."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR":
        raise ValueError(f"the picture {name} is no PNG")
    width, height = struct.unpack(">II", png[16:24])
    colours = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[png[25]]
    image = _integer(1, height) + _integer(2, width) + _integer(3, colours) + _bytes(4, png)
    return _summary(time, step, _bytes(1, name.encode()) + _bytes(4, image))


def session_event(time: float, name: str, settings: Mapping[str, bool | float | str]) -> bytes:
    """Return the settings of a run for the HParams dashboard; `name` sets it apart from others with the same ones."""
    start = b"".join(_bytes(1, _bytes(1, key.encode()) + _bytes(2, _value(value))) for key, value in settings.items())
    start += _bytes(4, name.encode()) + _double(5, time)
    return _hparams(time, "session_start_info", _bytes(3, start))


def session_end_event(time: float, ending: str) -> bytes:
    """Return how a run ended, `done` or `failed`, for the HParams dashboard."""
    return _hparams(time, "session_end_info", _bytes(4, _integer(1, ENDED[ending]) + _double(2, time)))


def step_of(event: bytes) -> int:
    """Return the step of an event that was made here."""
    place = 9  # behind the time
    if event[place : place + 1] != b"\x10":
        return -1
    step = shift = 0
    while True:
        place += 1
        step |= (event[place] & 0x7F) << shift
        if event[place] < 0x80:
            return step
        shift += 7


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _hparams(time: float, tag: str, data: bytes) -> bytes:
    nothing = _integer(1, FLOAT) + _bytes(2, _bytes(2, b""))
    value = _bytes(1, f"_hparams_/{tag}".encode()) + _bytes(8, nothing) + _plugin("hparams", data)
    return _summary(time, 0, value)


def _summary(time: float, step: int, *values: bytes) -> bytes:
    return _double(1, time) + _integer(2, step) + _bytes(5, b"".join(_bytes(1, value) for value in values))


def _plugin(name: str, content: bytes) -> bytes:
    return _bytes(9, _bytes(1, _bytes(1, name.encode()) + _bytes(2, content)))


def _value(value: Any) -> bytes:
    """Return a google.protobuf.Value."""
    if isinstance(value, bool):
        return _integer(4, int(value))
    return _double(2, value) if isinstance(value, int | float) else _bytes(3, str(value).encode())


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _integer(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", number)


def _float(field: int, number: float) -> bytes:
    try:
        return _varint(field << 3 | 5) + struct.pack("<f", number)
    except OverflowError:
        return _varint(field << 3 | 5) + struct.pack("<f", float("inf") if number > 0 else float("-inf"))


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data
