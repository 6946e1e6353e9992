"""A socket of our own, and uvicorn on it: quiet, and gone as soon as it is told to."""

import errno
import socket
import time
from collections.abc import Callable
from typing import Any

from gym_jax.errors import ConfigError, MissingExtra

LISTENING = 128
WITHOUT = "`gymjax monitor --tui` shows the runs in a terminal without it"
LEAVING = 2
"""Seconds that open answers get when the server leaves."""
TAKING = 1.0
"""Seconds at most in which connections made before it was told to leave are still taken."""


def need_server(what: str = "the page", hint: str = WITHOUT) -> None:
    """Raise MissingExtra when the packages that serve are not installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"{what} needs the extra `serve`: no package {error.name}",
            hint=hint,
            attempt="pip install 'gym-jax[serve]'",
        ) from error


def bind(host: str, port: int, command: str = "monitor") -> socket.socket:
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
    except (socket.gaierror, UnicodeError) as error:  # the latter of a name with a part that is empty or endless
        raise ConfigError(
            f"no address `{host}`: {getattr(error, 'strerror', error)}",
            hint="--host is a name or an address of this machine",
            attempt=f"gymjax {command} --host 127.0.0.1",
            code="serve.host",
        ) from error
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise ConfigError(
            f"port {port} of {host} is taken" if taken else f"port {port} of {host} can not be had: {error.strerror}",
            hint=f"another server listens there, perhaps another {command}; 0 takes a free port"
            if taken
            else "a port from 1024 on, of an address of this machine",
            attempt=f"gymjax {command} --port 0",
            code="serve.port",
        ) from error
    return found


def url_of(listening: socket.socket, host: str) -> str:
    """Return where a browser finds the server."""
    port = listening.getsockname()[1]
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/"


def make_server(app: Any, *, leaving: int = LEAVING, begin: Callable[[], bool] = lambda: True, **options: Any) -> Any:
    """Return a uvicorn server of an application of `make_app`: `server.run(sockets=[bind(...)])`.

    `begin` is called once it listens and signals reach it, and says whether to go on. `options` are those of
    uvicorn.Config. What a client does wrong is not logged: it is told so.
    """
    import asyncio
    import logging
    import select

    import uvicorn

    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            app.state.close()
            super().handle_exit(sig, frame)

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            self.should_exit = self.should_exit or not begin()

        async def shutdown(self, sockets: Any = None) -> None:
            until = time.monotonic() + TAKING
            while time.monotonic() < until and select.select(sockets or [], [], [], 0)[0]:
                await asyncio.sleep(0.01)  # who has connected before is still let in
            await super().shutdown(sockets)

    quiet = {"log_config": None, "access_log": False, "server_header": False, "lifespan": "off", "ws": "none"}
    return Server(uvicorn.Config(app, timeout_graceful_shutdown=leaving, **{**quiet, **options}))
