"""The connection before the application: who is too slow, too large or no HTTP is let go, in words where it can be."""

import socket
import struct
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gym_jax.serve.api.limits import Limits
from gym_jax.serve.api.problem import Problem, Refused, busy, header_too_long
from gym_jax.serve.api.strict import write_json
from gym_jax.serve.server import make_server

PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
LINGER = 0.2
"""Seconds in which a connection that asks nothing may still ask when the server is told to stop."""
TOO_MUCH = 4
"""Times the largest body: what is read of a request that is refused already before its connection is cut."""


def make_door(limits: Limits) -> type[H11Protocol]:
    """Return the protocol of every connection of a server with these limits.

    What uvicorn has no limit for: the time to send a request, from its first byte to its last, the time in which
    nothing of an answer is read, and what goes on coming after a refusal.
    """

    class Door(H11Protocol):
        reading: TimerHandle | None = None
        writing: TimerHandle | None = None
        surplus = 0
        since = 0.0

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.since = self.loop.time()
            transport.set_write_buffer_limits(high=0)  # an answer that is not taken is known as soon as it waits
            self._expect()
            if len(self.connections) > limits.connections:
                self._make_room()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget("reading")
            self._forget("writing")
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.cycle is not None and self.cycle.response_complete and self.cycle.more_body:
                self.surplus += len(data)
                if self.surplus > TOO_MUCH * limits.body:
                    self._cut()
                    return
            super().data_received(data)
            if self.transport.is_closing():
                return
            if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
                self._forget("reading")
            else:
                self._expect()

        def on_response_complete(self) -> None:
            if self.cycle is not None and not self.cycle.more_body:
                self._forget("reading")
            self.since = self.loop.time()
            super().on_response_complete()

        def shutdown(self) -> None:
            self.loop.call_later(LINGER, super().shutdown)  # what has been sent already is read before

        def pause_writing(self) -> None:
            super().pause_writing()
            if self.writing is None:
                self.writing = self.loop.call_later(limits.write_seconds, self._cut)

        def resume_writing(self) -> None:
            self._forget("writing")
            super().resume_writing()

        def send_400_response(self, msg: str) -> None:
            error = sys.exc_info()[1]
            if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
                self._say(header_too_long(limits.header))
            else:
                self._say(Refused(400, Problem("http.invalid", f"no HTTP: {str(error)[:200] or msg}")))

        def _expect(self) -> None:
            """Let the connection go unless the rest of a request is there in time."""
            if self.reading is None:
                self.reading = self.loop.call_later(limits.read_seconds, self._late)

        def _late(self) -> None:
            self.reading = None
            began = self.cycle is not None and self.cycle.more_body
            if began or self.conn.trailing_data[0]:
                words = f"the request was not there within {limits.read_seconds:g} s"
                self._say(Refused(408, Problem("http.slow", words, "send it at once")))
            else:
                self.transport.close()

        def _say(self, refused: Refused) -> None:
            """Write a refusal where nothing was answered yet, and close."""
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
                body = write_json(refused.document())
                headers = [
                    ("content-type", "application/json"),
                    ("content-length", str(len(body))),
                    ("connection", "close"),
                ]
                events: tuple[Any, ...] = (
                    h11.Response(
                        status_code=refused.status, headers=[*headers, *refused.headers], reason=PHRASES[refused.status]
                    ),
                    h11.Data(data=body),
                    h11.EndOfMessage(),
                )
                for event in events:
                    self.transport.write(self.conn.send(event) or b"")
                if self.cycle is not None:
                    self.cycle.disconnected = True
                    self.cycle.message_event.set()
            self.transport.close()

        def _cut(self) -> None:
            """Close the connection at once; what was not taken is dropped, by the kernel too."""
            own = self.transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

        def _make_room(self) -> None:
            """Close the connection that has waited longest for its next request; this one where none does."""
            others = [one for one in self.connections if isinstance(one, Door)]
            idle = [one for one in others if one.cycle is None or one.cycle.response_complete]
            oldest = min(idle, key=lambda one: one.since, default=self)
            if oldest is not self:
                oldest.transport.close()
                return
            self._say(busy(f"{limits.connections:,} connections are open"))

        def _forget(self, name: str) -> None:
            timer: TimerHandle | None = getattr(self, name)
            if timer is not None:
                timer.cancel()
                setattr(self, name, None)

    return Door


def make_model_server(app: Any, limits: Limits, begin: Callable[[], bool] = lambda: True) -> Any:
    """Return a uvicorn server of a model application, behind such doors; `begin` as `make_server` has it."""
    return make_server(
        app,
        begin=begin,
        leaving=limits.leave_seconds,
        http=make_door(limits),
        h11_max_incomplete_event_size=limits.header,
        timeout_keep_alive=limits.idle_seconds,
        backlog=limits.connections,
    )
