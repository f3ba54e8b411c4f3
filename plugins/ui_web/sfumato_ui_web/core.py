"""What the web application has beside Flask: short-cuts, WebSockets, and who is asking.

Found by routes of other plugins as ``current_app.extensions["sfumato"]``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sfumato_ui_web.security.guard import Guard, Refused

if TYPE_CHECKING:
    from flask import Flask

    from sfumato.studio import Studio

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Shortcut = Callable[[Environ, StartResponse], "Iterable[bytes] | None"]
"""A WSGI application that may answer None: then Flask is asked as for any other address."""
SocketHandler = Callable[[Any, str], None]
"""Called with a `simple_websocket.Server` and the user's name, in a thread of its own; its end closes the
socket."""

LONG_ADDRESSES = (
    "/sdapi/v1/txt2img",
    "/sdapi/v1/img2img",
    "/sdapi/v1/extra-single-image",
    "/sdapi/v1/extra-batch-images",
)


@dataclass
class WebCore:
    """One web application's own parts.

    Attributes:
        stopping: Set when the server ends; streams that look at it end with it.
        long_addresses: Paths whose requests are held for long, so that they get threads of their own.
        first_page_shown: Set with the first page that was answered.
        finish: Builds what was left until it is asked for.
        sockets_open: WebSockets being served, which the server closes at its end.
    """

    studio: Studio
    guard: Guard
    stopping: threading.Event = field(default_factory=threading.Event)
    first_page_shown: threading.Event = field(default_factory=threading.Event)
    long_addresses: set[str] = field(default_factory=lambda: set(LONG_ADDRESSES))
    finish: Callable[[], None] = lambda: None
    sockets_open: set[Any] = field(default_factory=set)
    _shortcuts: dict[str, tuple[Shortcut, bool]] = field(default_factory=dict)
    _sockets: dict[str, SocketHandler] = field(default_factory=dict)

    def websocket(self, path: str, handler: SocketHandler) -> None:
        """Serve a WebSocket at a path; the same checks as for any request come before it."""
        self._sockets[path] = handler

    def socket_handler(self, path: str) -> SocketHandler | None:
        return self._sockets.get(path)

    def shortcut(self, path: str, answer: Shortcut, *, basic: bool = False) -> None:
        """Answer a path without Flask, whose routing costs more than a small answer does.

        Args:
            basic: Whether user and password may come by HTTP Basic.
        """
        self._shortcuts[path] = (answer, basic)

    def is_long(self, path: str, accept: str) -> bool:
        """Whether a request may be held for long: event streams, and work that is waited for."""
        return path in self.long_addresses or path.endswith("/events") or "text/event-stream" in accept

    def around(self, application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """The WSGI application with the short-cuts before it."""

        def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            found = self._shortcuts.get(environ.get("PATH_INFO", ""))
            if found is not None:
                short = self._short(found, environ, start_response)
                if short is not None:
                    return short
            return application(environ, start_response)

        return answer

    def _short(
        self, found: tuple[Shortcut, bool], environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes] | None:
        """None for who is refused, too: Flask refuses them in full sentences."""
        shortcut, basic = found
        try:
            admitted = self.guard.admit(environ, basic=basic)
        except Refused:
            return None
        environ["sfumato.user"] = admitted.user
        extra = self.guard.headers(environ, private=True)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            given = {name.lower() for name, _ in headers}
            return start_response(
                status, [*headers, *(pair for pair in extra if pair[0].lower() not in given)], exc_info
            )

        return shortcut(environ, start)


def core_of(app: Flask) -> WebCore:
    """The parts of an application that `create_app` made."""
    core: WebCore = app.extensions["sfumato"]
    return core
