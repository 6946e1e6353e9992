"""Who may ask: the right host, the right token, the right methods; and what browsers are told to keep to."""

import hashlib
import hmac
import ipaddress
import stat
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.errors import ConfigError
from gym_jax.files import WINDOWS

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

COOKIE = "gymjax_monitor"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHORTEST = 16
"""Characters of a token."""
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
LOGIN = "/login"
ANY = ("*",)
"""Every name, for servers that are kept by a token: a page that rebinds a name has none."""
Words = Callable[[int, str], tuple[bytes, str]]
"""From a status and words to the body of a refusal and its type."""


class Rules(NamedTuple):
    """Who may ask."""

    hosts: tuple[str, ...] = LOOPBACK
    """Names by which the server may be called."""
    anywhere: bool = False
    """Whether it may be called by any address too: a page that rebinds a name has none."""
    token: str | None = None
    methods: tuple[str, ...] = ("GET", "HEAD")
    open: tuple[str, ...] = ("/static/", LOGIN)
    """What is there without a token: the page that asks for one, and nothing about a run."""
    login: str | None = LOGIN
    """What is shown in place of the first page to who has no token; None: the refusal."""


def plain_words(code: int, words: str) -> tuple[bytes, str]:
    """Return a refusal as text."""
    return words.encode(), "text/plain; charset=utf-8"


def guarded(app: App, rules: Rules, refuse: Words = plain_words) -> App:
    """Return an ASGI application that answers only those who may ask, with headers that keep browsers to its page."""

    async def guard(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
                given = [(key, value) for key, value in message["headers"] if key.decode().lower() not in HEADERS]
                message = {**message, "headers": [*given, *own]}
            await send(message)

        refused = refusal(scope, rules)
        if refused is None:
            await app(scope, receive, with_headers)
            return
        code, words = refused
        if code == 401 and rules.login and _path(scope) == "/":
            await app({**scope, "path": scope.get("root_path", "") + rules.login}, receive, with_headers)
            return
        text, kind = refuse(code, words)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(text)).encode())]
        if code == 405:
            headers.append((b"allow", ", ".join(rules.methods).encode()))
        await with_headers({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text})

    return guard


def refusal(scope: Scope, rules: Rules) -> tuple[int, str] | None:
    """Return the status and the words with which a request is refused, None when it is answered."""
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    if scope["method"] not in rules.methods:
        return 405, f"only {' and '.join(rules.methods)} are answered\n"
    if not _called(headers.get("host", ""), rules):
        return 421, "this server is not called by that name\n"
    if headers.get("sec-fetch-site") == "cross-site" and _path(scope) != "/":
        return 403, "not for other sites\n"
    if rules.token is not None and not _path(scope).startswith(rules.open) and not _known(headers, rules.token):
        return 401, "a token is needed\n"
    return None


def cookie_of(token: str) -> str:
    """Return what a browser keeps in place of a token: it can not be turned back into it."""
    return hmac.new(token.encode(), b"gymjax monitor", hashlib.sha256).hexdigest()


def read_token(path: str | Path) -> tuple[str, list[str]]:
    """Return the token in a file, and a note when others on this machine can read it. Raises ConfigError."""
    place = Path(path).expanduser()
    try:
        text, mode = place.read_text(encoding="utf-8").strip(), place.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise _no_token(f"--token-file {path} can not be read: {reason}", path) from error
    if len(text) < SHORTEST or not text.isascii() or len(text.split()) != 1:
        raise _no_token(f"--token-file {path} holds no token of {SHORTEST} characters or more in one word", path)
    shared = not WINDOWS and bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
    return text, [f"others on this machine can read {path}: chmod 600 {path}"] if shared else []


def needed_token(host: str, path: str | None, command: str) -> tuple[str | None, list[str]]:
    """Return the token that is asked for, None where none is, and notes. Raises ConfigError when one is needed."""
    if path is not None:
        return read_token(path)
    if is_loopback(host):
        return None, []
    raise ConfigError(
        f"--host {host} is seen by other machines, and there is no token",
        hint="give --token-file, or leave --host out and reach this machine by ssh -L",
        attempt=f"gymjax {command} --host {host} --token-file FILE",
        code="serve.token",
    )


def is_loopback(host: str) -> bool:
    """Return whether an address or a name means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_token(message: str, path: str | Path) -> ConfigError:
    attempt = f"(umask 077; openssl rand -hex 32 > {path})"
    return ConfigError(message, hint="one line that only you can read", attempt=attempt, code="serve.token")


def _called(host: str, rules: Rules) -> bool:
    """Return whether the Host header names this server; the port may be that of a tunnel."""
    name = host.rsplit("]", 1)[0].removeprefix("[") if host.startswith("[") else host.rsplit(":", 1)[0]
    if rules.hosts == ANY or name.lower() in rules.hosts:
        return True
    if not rules.anywhere:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _known(headers: dict[str, str], token: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode(), token.encode())
    # By hand: http.cookies drops all of them for one that is malformed, and servers at other ports set theirs here too.
    cookies = (word.strip().partition("=") for word in headers.get("cookie", "").split(";"))
    own = cookie_of(token).encode()
    return any(name == COOKIE and hmac.compare_digest(value.encode(), own) for name, _, value in cookies)


def _path(scope: Scope) -> str:
    """Return the path below where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def allowed_hosts(host: str, names: Iterable[str] = ()) -> Sequence[str]:
    """Return the names by which a server at this host may be called."""
    return tuple(dict.fromkeys(name.lower() for name in (*LOOPBACK, host, *names) if name))
