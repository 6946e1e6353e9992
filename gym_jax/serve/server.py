"""A socket of our own, and uvicorn on it: quiet, and gone as soon as it is told to."""

import errno
import socket
from typing import Any

from gym_jax.errors import ConfigError, MissingExtra

LISTENING = 128
LEAVING = 2
"""Seconds that open answers get when the server leaves."""


def need_server() -> None:
    """Raise MissingExtra when the packages that serve pages are not installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"the page needs the extra `serve`: no package {error.name}",
            hint="`gymjax monitor --tui` shows the runs in a terminal without it",
            attempt="pip install 'gym-jax[serve]'",
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises ConfigError when it can not be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(LISTENING)
        except OSError:
            found.close()
            raise
    except socket.gaierror as error:
        raise ConfigError(
            f"no address `{host}`: {error.strerror}",
            hint="--host is a name or an address of this machine",
            attempt="gymjax monitor --host 127.0.0.1",
            code="serve.host",
        ) from error
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise ConfigError(
            f"port {port} of {host} is taken" if taken else f"port {port} of {host} can not be had: {error.strerror}",
            hint="another server listens there, perhaps another monitor; 0 takes a free port"
            if taken
            else "a port from 1024 on, of an address of this machine",
            attempt="gymjax monitor --port 0",
            code="serve.port",
        ) from error
    return found


def url_of(listening: socket.socket, host: str) -> str:
    """Return where a browser finds the server."""
    port = listening.getsockname()[1]
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/"


def make_server(app: Any) -> Any:
    """Return a uvicorn server of an application of `make_app`: `server.run(sockets=[bind(...)])`."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            app.state.hub.close()
            super().handle_exit(sig, frame)

    options = {"log_config": None, "access_log": False, "server_header": False, "lifespan": "off", "ws": "none"}
    return Server(uvicorn.Config(app, timeout_graceful_shutdown=LEAVING, **options))  # type: ignore[arg-type]
