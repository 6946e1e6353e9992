"""One question to a server over HTTP: bounded in time and size, never sent on to another host."""

import base64
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from email.message import Message
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from gym_jax import __version__
from gym_jax.errors import ConfigError, DataError, gathered

LARGEST = 32 << 20
"""Bytes of an answer, unpacked; as Python's numbers it takes some ten times that."""
LONG = 4000
"""Characters of a question beyond which it is sent as a form: servers refuse long addresses."""
PORTION = 1 << 16
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110)."""


class Server(NamedTuple):
    """Where questions go, and what goes with them."""

    url: str
    """Without a slash at its end, and without user and password."""
    headers: Mapping[str, str] = {}
    seconds: float = 120.0
    """An answer takes at most so long."""
    largest: int = LARGEST


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    headers: Message
    body: bytes


HELP = "gymjax data pull --help"


class TooMuch(DataError):
    """A question whose answer is too large or takes too long: a smaller one may do."""

    code = "pull.too_much"


def make_server(url: str, headers: Sequence[str] = (), token_file: str | None = None) -> Server:
    """Return the server at an address, with headers as `Name: value` and the token of a file. Raises ConfigError.

    A user and password within the address become a header of basic authentication.
    """
    problems: list[ConfigError] = []
    own: dict[str, str] = {}
    if not _is_address(url):
        told = f"gymjax data pull ... --prometheus http://{url}"
        problems.append(
            _wrong(
                f"`{url}` is no address of a server",
                "such as http://prometheus:9090, or https://host/path",
                told if "://" not in url and _is_address(f"http://{url}") else HELP,
            )
        )
    elif (parts := urlsplit(url)).username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        own["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    for word in headers:
        name, colon, value = (part.strip() for part in word.partition(":"))
        if not colon or not TOKEN.fullmatch(name) or not value.isprintable() or not value.isascii():
            problems.append(_wrong(f"`{name}` is no header", "write --header 'X-Scope-OrgID: team'"))
        own[name] = value
    if token_file is not None:
        try:
            own["Authorization"] = f"Bearer {_token(Path(token_file))}"
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            problems.append(_wrong(f"--token-file {token_file}: {said}", "a file with one line, the token"))
    if problems:
        raise gathered(problems, code="usage")
    parts = urlsplit(url)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    return Server(bare, own)


def _is_address(url: str) -> bool:
    """Return whether questions can go to an address."""
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and url.isascii() and url.isprintable() and " " not in url and not parts.query and not parts.fragment


def _token(path: Path) -> str:
    token = path.expanduser().read_text(encoding="utf-8").strip()
    if not token or not token.isprintable() or not token.isascii() or " " in token:
        raise ValueError("it holds no token")
    return token


def _wrong(message: str, hint: str, attempt: str = HELP) -> ConfigError:
    return ConfigError(message, hint=hint, attempt=attempt, code="usage")


def fetch(server: Server, path: str, parameters: Mapping[str, str]) -> Answer:
    """Return the answer to one question. Raises TooMuch when it is too large or late, DataError on a redirect to
    another host, OSError or HTTPException when there is no connection or it breaks."""
    asked = urlencode(parameters)
    form = asked.encode() if len(asked) > LONG else None
    request = urllib.request.Request(
        f"{server.url}{path}" + ("" if form else f"?{asked}"),
        data=form,
        headers={"Accept-Encoding": "gzip", "User-Agent": f"gym_jax/{__version__}", **server.headers},
    )
    late = time.monotonic() + server.seconds
    try:
        with urllib.request.build_opener(_SameHost).open(request, timeout=server.seconds) as response:
            return Answer(response.status, response.headers, _body(response, server, late))
    except urllib.error.HTTPError as error:  # an answer too, of another status
        with error:
            return Answer(error.code, error.headers, _body(error, server, late))
    except TimeoutError as error:
        raise _late(server) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _late(server) from error
        raise


def why(error: Exception) -> str:
    """Return in words why there is no connection."""
    reason: Any = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {reason.verify_message}"
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection broke within an answer"
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__).lower()


def is_hopeless(error: Exception) -> bool:
    """Return whether trying again is no help: the certificate stays what it is."""
    return isinstance(getattr(error, "reason", error), ssl.SSLError)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects on the same host only: headers, and a token among them, go where the user said."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp: IO[bytes], code: int, msg: str, headers, newurl: str
    ) -> urllib.request.Request | None:
        was, now = urlsplit(req.full_url), urlsplit(newurl)
        same = (was.scheme, was.netloc) == (now.scheme, now.netloc)
        safer = (was.scheme, now.scheme) == ("http", "https") and was.hostname == now.hostname
        if not (same or safer):
            fp.close()
            raise DataError(
                f"{was.scheme}://{was.netloc} sends on to {now.scheme}://{now.netloc}; nothing was sent there",
                hint="if that is the server that was meant, name it",
                attempt=f"gymjax data pull --prometheus {now.scheme}://{now.netloc} ...",
                code="pull.redirect",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _body(response: Any, server: Server, late: float) -> bytes:
    """Return the body, unpacked, never more than the server's `largest` bytes of it."""
    unpack = zlib.decompressobj(31) if response.headers.get("Content-Encoding", "").lower() == "gzip" else None
    parts, size = [], 0
    while raw := response.read1(PORTION):
        try:
            part = unpack.decompress(raw, server.largest + 1 - size) if unpack else raw
        except zlib.error as error:
            raise http.client.IncompleteRead(b"") from error
        size += len(part)
        if size > server.largest or (unpack and unpack.unconsumed_tail):
            raise TooMuch(
                f"{server.url} answers with more than {server.largest >> 20} MiB at once", hint="ask for less"
            )
        if time.monotonic() > late:
            raise _late(server)
        parts.append(part)
    if getattr(response, "length", None) or (unpack and not unpack.eof):
        raise http.client.IncompleteRead(b"")
    return b"".join(parts)


def _late(server: Server) -> TooMuch:
    return TooMuch(
        f"{server.url} gave no answer within {server.seconds:g} s",
        hint="a query over fewer series, or a longer --step, is less work for it",
        code="pull.timeout",
    )
