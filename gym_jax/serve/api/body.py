"""Reading a request: its head measured, its body counted while it comes, whatever the head says of it."""

from dataclasses import dataclass

from starlette.requests import Request

from gym_jax.serve.api.limits import Limits
from gym_jax.serve.api.problem import Problem, Refused, busy
from gym_jax.serve.guard import Scope


@dataclass
class Bodies:
    """The bytes of all bodies that are being read or answered."""

    limits: Limits
    held: int = 0

    async def read(self, request: Request) -> bytes:
        """Return the body of a request for JSON. Raises Refused, and ClientDisconnect when the client has gone."""
        _refuse_headers(request, self.limits)
        parts: list[bytes] = []
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                self.held += len(part)
                if size > self.limits.body:
                    raise _too_large(self.limits)
                if self.held > self.limits.bodies:
                    raise busy(f"bodies of {self.held:,} bytes are being read")
                parts.append(part)
        finally:
            self.held -= size
        return b"".join(parts)


def _refuse_headers(request: Request, limits: Limits) -> None:
    kind, _, more = request.headers.get("content-type", "").partition(";")
    charset = more.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise Refused(415, Problem("http.type", "only application/json is read", "content-type: application/json"))
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, Problem("http.encoding", "a compressed body is not read", "send it as it is"))
    length = request.headers.get("content-length")
    if length is not None and "transfer-encoding" in request.headers:
        words = "content-length and transfer-encoding both"
        raise Refused(400, Problem("http.length", words, "one of them says how long a body is"), headers=CLOSE)
    if length is not None and int(length) > limits.body:  # h11 has refused what is no number
        raise _too_large(limits)


CLOSE = [("connection", "close")]


def _too_large(limits: Limits) -> Refused:
    words = f"the body is larger than {limits.body:,} bytes"
    return Refused(413, Problem("http.body", words, "ask in several requests"))


def head_size(scope: Scope) -> int:
    """Return the bytes of a request's line and headers."""
    lines = (len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])
    return len(scope.get("raw_path", b"")) + len(scope["query_string"]) + sum(lines)
