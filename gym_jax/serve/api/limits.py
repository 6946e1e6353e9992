"""How much may be asked at once, and how long anybody may take."""

from typing import NamedTuple

ROWS = 20_000
"""Of one series."""
SERIES = 256
"""Of one request."""
COLUMNS = 256
"""Of one series; members of any JSON object."""
WORD = 256
"""Characters of a name or an id."""


class Limits(NamedTuple):
    """What a server takes before it refuses."""

    body: int = 1 << 20
    """Bytes of one body."""
    bodies: int = 64 << 20
    """Bytes of all bodies that are being read."""
    header: int = 16 << 10
    """Bytes of the request line and all headers."""
    connections: int = 1_000
    """Open at the same time; beyond it the one that is idle longest goes."""
    waiting: int = 256
    """Requests that wait for their forecast; one more is refused with 503."""
    read_seconds: float = 8.0
    """From the first byte of a request, or the opening of a connection, to its last."""
    idle_seconds: int = 5
    """Of a connection between two requests."""
    write_seconds: float = 8.0
    """For which a client may leave its answer unread."""
    leave_seconds: int = 8
    """For open requests when the server is told to go."""
    answer_seconds: float = 30.0
    """For a forecast, waiting included."""


USUAL = Limits()
