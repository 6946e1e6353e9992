"""The roll call before processes train as one: process 0 waits at its port until each has said its number.

It is held before JAX is told of the others, at the port that JAX takes afterwards. One line there, one line back.
"""

import select
import socket
import time
from contextlib import ExitStack, suppress

GREETING, REFUSED = "gymjax", "gymjax-refuses"
LINE = 4096
"""Bytes of a line at most."""
PAUSE = 0.05
"""Seconds before a process that found nobody tries again."""


def hold_rollcall(host: str, port: int, count: int, seconds: float) -> list[int]:
    """Wait for processes 1 to `count` - 1 and tell each that all are there; return those that did not come.

    Who came is told who did not. Raises OSError when the port can not be had.
    """
    deadline, here = time.monotonic() + seconds, dict[int, socket.socket]()
    with ExitStack() as open_ones:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        door = open_ones.enter_context(socket.socket(family, socket.SOCK_STREAM))
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, port))
        door.listen(count)
        while len(here) < count - 1 and (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([door, *here.values()], [], [], left)
            for rank in [rank for rank, line in here.items() if line in ready]:
                here.pop(rank).close()  # it has left: a process that waits says nothing more
            if door not in ready:
                continue
            line = open_ones.enter_context(door.accept()[0])
            rank, fault = _judge(_read_line(line, min(deadline, time.monotonic() + 5)), count)
            if not fault and rank in here:
                fault = f"another process says that it is number {rank}"
            if fault:
                with suppress(OSError):
                    line.sendall(f"{REFUSED} {fault}\n".encode())
                line.close()
            else:
                here[rank] = line
        absent = [rank for rank in range(1, count) if rank not in here]
        for line in here.values():
            with suppress(OSError):
                line.sendall(f"{GREETING} {' '.join(map(str, absent))}\n".encode())
    return absent


def answer_rollcall(host: str, port: int, rank: int, count: int, seconds: float) -> list[int]:
    """Say the number of this process to process 0 and wait for the others; return those that did not come.

    Raises OSError when there is no such machine by then, ValueError in words when process 0 wants none of this number.
    """
    deadline, unknown = time.monotonic() + seconds, None
    while (left := deadline - time.monotonic()) > 0:
        try:
            socket.getaddrinfo(host, port)
            unknown = None
        except socket.gaierror as error:  # the name of a machine that only just begins may be known in a moment
            unknown = error
        with suppress(OSError), socket.create_connection((host, port), timeout=left) as line:
            line.sendall(f"{GREETING} {rank} {count}\n".encode())
            # process 0 may have begun a moment later than this one, and gives up a moment later
            word, _, rest = _read_line(line, deadline + 5).strip().partition(" ")
            if word == REFUSED:
                raise ValueError(f"process 0 refuses process {rank} of {count}: {rest}")
            if word == GREETING:
                return [int(number) for number in rest.split() if number.isdecimal()]
        time.sleep(min(PAUSE, max(0.0, deadline - time.monotonic())))
    if unknown is not None:
        raise unknown
    return [0]


def _judge(greeting: str, count: int) -> tuple[int, str]:
    """Return the number that a process says it has, and why it is none of this group, if it is none."""
    words = greeting.split()
    if len(words) != 3 or words[0] != GREETING or not all(word.isdecimal() for word in words[1:]):
        return 0, "it says something else"
    rank, others = int(words[1]), int(words[2])
    if others != count:
        return rank, f"it is one of {others}, and process 0 of {count}"
    return rank, "" if 0 < rank < count else "there is no such number"


def _read_line(line: socket.socket, deadline: float) -> str:
    """Return what comes up to the end of a line; what is there when it is too long, too late, or ends before."""
    text = b""
    with suppress(OSError):
        while not text.endswith(b"\n") and len(text) < LINE and (left := deadline - time.monotonic()) > 0:
            line.settimeout(left)
            if not (more := line.recv(LINE - len(text))):
                break
            text += more
    return text.decode(errors="replace")
