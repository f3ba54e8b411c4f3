"""The commands ``sfumato ui`` and ``sfumato users``."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli import output

if TYPE_CHECKING:
    from sfumato.studio import Studio
    from sfumato_ui_web.server import StudioServer

_log = logging.getLogger(__name__)


def ui(
    studio: Studio,
    host: Annotated[str | None, typer.Option(help="The address to answer at.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes any that is free.")] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser.")] = False,
    workers: Annotated[bool, typer.Option("--workers/--no-workers", help="Work the queue off.")] = True,
) -> None:
    """Start the studio in the browser."""
    from sfumato_ui_web.app import create_app
    from sfumato_ui_web.server import StudioServer

    web = studio.settings.web
    host = host or web.host
    app = create_app(studio, host=host)
    server = StudioServer(app, host, web.port if port is None else port, web.threads)
    print(server.url, flush=True)
    output.say("The studio answers there. Ctrl-C ends it.")
    if open_browser:
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
    starting = threading.Thread(target=_start_workers, args=(studio,), daemon=True)
    if workers:
        starting.start()
    try:
        _run_until_told(server)
    finally:
        server.stop()
        if workers:
            starting.join()
            _stop_workers(studio)


def _run_until_told(server: StudioServer) -> None:
    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        server.run()
    finally:
        signal.signal(signal.SIGTERM, before)


def _start_workers(studio: Studio) -> None:
    try:
        studio.workers.start()
    except Exception as error:
        _log.error("The queue is not worked off: %s", error)


def _stop_workers(studio: Studio) -> None:
    try:
        studio.workers.stop()
    except NotImplementedError:
        pass


def users(studio: Studio) -> None:
    """Who may log in, and tokens for programs."""
