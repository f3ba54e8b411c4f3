"""The server: waitress, with threads of their own for what is held long, and WebSockets.

Waitress answers with a pool of threads. An event stream would hold one of them for hours, and a picture that
is waited for, minutes: such requests get a thread each, as many as `MOST_LONG`, and the pool stays free.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.proxy_headers import proxy_headers_middleware
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher, WSGITask
from waitress.utilities import Error

from sfumato.errors import BadInput, SfumatoError
from sfumato_ui_web.core import WebCore, core_of
from sfumato_ui_web.security.guard import Refused

if TYPE_CHECKING:
    from flask import Flask

_log = logging.getLogger(__name__)

MOST_LONG = 400
PROXY_HEADERS = ("x-forwarded-for", "x-forwarded-proto")
"""What a trusted proxy is believed; the host it passes on itself."""
PING_SECONDS = 25
LONGEST_MESSAGE = 64 * 1024
SEND_SECONDS = 30.0
SECONDS_TO_END = 2.0


class TooManyHeld(Error):
    """What waitress answers when no more long requests can be held."""

    code = 503
    reason = "Service Unavailable"


class Dispatcher(ThreadedTaskDispatcher):
    """Gives each request a thread of the pool, or one of its own."""

    def __init__(self, core: WebCore) -> None:
        super().__init__()
        self._core = core
        self._free = threading.BoundedSemaphore(MOST_LONG)

    def add_task(self, task: Any) -> None:
        request = task.requests[0]
        task.is_held = False
        if request.error or not self._is_long(request):
            super().add_task(task)
        elif self._free.acquire(blocking=False):
            task.is_held = True
            threading.Thread(target=self._hold, args=(task,), name="sfumato-long", daemon=True).start()
        else:
            request.error = TooManyHeld("Too many requests are being held. Try again later.")
            super().add_task(task)

    def _is_long(self, request: Any) -> bool:
        headers = request.headers
        return "UPGRADE" in headers or self._core.is_long(request.path or "", headers.get("ACCEPT", ""))

    def _hold(self, task: Any) -> None:
        try:
            task.service()
        except BaseException:
            _log.exception("A long request failed")
        finally:
            self._free.release()


class BlockingSocket:
    """A socket whose `send` sends everything."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        inner.settimeout(SEND_SECONDS)

    def send(self, data: bytes) -> int:
        self._inner.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Task(WSGITask):
    """An answer without a body (304, 204) does not end its connection, as it does with waitress."""

    def set_close_on_finish(self) -> None:
        wanted = self.request.headers.get("CONNECTION", "").lower()
        if self.has_body or self.version == "1.0" or wanted == "close":
            super().set_close_on_finish()


class Channel(HTTPChannel):
    """A connection that can become a WebSocket.

    Attributes:
        is_held: Whether its request has a thread of its own. Only then is it looked at meanwhile, so that a
            client that hangs up is noticed: looking costs more than a short answer does.
    """

    task_class = Task
    is_held = False

    def readable(self) -> bool:
        return (self.is_held or not self.requests) and bool(super().readable())

    def service(self) -> None:
        request = self.requests[0]
        wanted = not request.error and request.headers.get("UPGRADE", "").lower() == "websocket"
        if not (wanted and self._serve_socket(request)):
            super().service()

    def _serve_socket(self, request: Any) -> bool:
        """Whether it was one; if not, the application answers as to any request."""
        core: WebCore = self.server.sfumato
        environ = self._environment(request)
        core.finish()
        handler = core.socket_handler(environ["PATH_INFO"])
        if handler is None:
            return False
        try:
            user = core.guard.admit(environ).user
        except Refused:
            return False
        self._leave_server()
        try:
            self._talk(environ, lambda connection: handler(connection, user))
        finally:
            request.close()
            self.requests: list[Any] = []
        return True

    def _environment(self, request: Any) -> dict[str, Any]:
        """As the application gets it, with what a trusted proxy tells."""
        environ: dict[str, Any] = WSGITask(self, request).get_environment()
        self.server.behind_proxy(lambda environ, start_response: ())(environ, lambda *_: None)
        return environ

    def _leave_server(self) -> None:
        """Take the socket from waitress, in waitress's own thread."""
        left = threading.Event()

        def leave() -> None:
            self.del_channel()
            left.set()

        self.server.trigger.pull_trigger(leave)
        left.wait()

    def _talk(self, environ: dict[str, Any], handle: Callable[[Any], None]) -> None:
        from simple_websocket import ConnectionClosed, ConnectionError, Server

        core: WebCore = self.server.sfumato
        environ["werkzeug.socket"] = BlockingSocket(self.socket)
        try:
            connection = Server(
                environ,
                ping_interval=PING_SECONDS,
                max_message_size=LONGEST_MESSAGE,
                thread_class=functools.partial(threading.Thread, daemon=True),
            )
        except (ConnectionError, OSError) as error:
            _log.info("A WebSocket was not opened: %s", error)
            self.socket.close()
            return
        core.sockets_open.add(connection)
        try:
            handle(connection)
        except (ConnectionClosed, OSError):
            pass
        except Exception:
            _log.exception("A WebSocket failed")
        finally:
            close(connection)
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads
            connection.thread.join(SECONDS_TO_END)
            self.socket.close()
            self.connected = False
            core.sockets_open.discard(connection)


def close(connection: Any) -> None:
    """Close a WebSocket that may be closed already."""
    with contextlib.suppress(Exception):  # one that is being closed refuses in ways of its own
        connection.close()


class StudioServer:
    """One application, served at one address from a thread of the caller's.

    Args:
        host: Address to bind to.
        port: 0 takes any that is free; `port` tells which.

    Raises:
        SfumatoError: the address cannot be had.
    """

    def __init__(self, app: Flask, host: str, port: int, threads: int = 8) -> None:
        self._core = core_of(app)
        dispatcher = Dispatcher(self._core)
        sockets: dict[int, Any] = {}
        trusted = self._core.studio.settings.web.trusted_proxy
        proxy: dict[str, Any] = (
            {"trusted_proxy": trusted, "trusted_proxy_headers": set(PROXY_HEADERS)} if trusted else {}
        )
        try:
            self._server: Any = create_server(
                app,
                map=sockets,
                _dispatcher=dispatcher,
                host=_address(host),
                port=port,
                threads=threads,
                ident=None,
                channel_request_lookahead=1,  # so that `Channel.readable` decides
                connection_limit=1000,
                channel_timeout=120,
                max_request_body_size=int(app.config["MAX_CONTENT_LENGTH"]) + 1,
                clear_untrusted_proxy_headers=True,
                **proxy,
            )
        except (OSError, ValueError) as error:
            wasyncore.close_all(sockets, ignore_all=True)
            raise _cannot_bind(host, port, error) from error
        dispatcher.set_thread_count(threads)
        self._server.sfumato = self._core
        self._server.behind_proxy = functools.partial(proxy_headers_middleware, **proxy)
        self._server.channel_class = Channel
        self.host = host
        self.port = int(self._server.effective_port)

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def finish_application(self, patience: float) -> None:
        """Build what was left, once the first page was shown or `patience` seconds are over."""
        if self._core.first_page_shown.wait(patience):
            self._core.stopping.wait(patience / 4)  # it is still to be sent, and asks for its files
        if not self._core.stopping.is_set():
            self._core.finish()

    def close(self) -> None:
        """Give the address back where `run` was never called."""
        self._server.task_dispatcher.shutdown(timeout=SECONDS_TO_END)
        wasyncore.close_all(self._server._map, ignore_all=True)

    def run(self) -> None:
        """Serve until `stop` is called elsewhere or an interrupt comes."""
        self._server.run()

    def stop(self) -> None:
        """End all that is served; may be called from any thread, and twice."""
        if self._core.stopping.is_set():
            return
        self._core.stopping.set()
        for connection in list(self._core.sockets_open):
            close(connection)
            connection.event.set()  # wakes the thread that waits for a message
        until = time.monotonic() + SECONDS_TO_END
        while self._core.sockets_open and time.monotonic() < until:
            time.sleep(0.01)
        self._server.task_dispatcher.shutdown(timeout=SECONDS_TO_END)
        self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._server._map, ignore_all=True))


def _address(host: str) -> str:
    """One address for a name: waitress would make a server of another kind for the two of localhost."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    first = min(found, key=lambda each: each[0] != socket.AF_INET)
    return str(first[4][0])


def _cannot_bind(host: str, port: int, error: Exception) -> SfumatoError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return SfumatoError(
            f"Port {port} of {host} is taken.",
            why="Another program answers there, maybe another studio.",
            hint=f"Open http://{host}:{port}/, or choose another: sfumato ui --port {port + 1}",
        )
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return SfumatoError(f"Port {port} may not be used.", why=f"{error}.", hint="Choose one above 1023.")
    return BadInput(f"The studio cannot answer at {host}, port {port}.", why=f"{error}.")
