"""The commands ``sfumato ui`` and ``sfumato users``."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli import output
from sfumato.errors import BadInput, SfumatoError

if TYPE_CHECKING:
    from sfumato.studio import Studio
    from sfumato_ui_web.security.accounts import Accounts
    from sfumato_ui_web.security.user_store import UserStore
    from sfumato_ui_web.server import StudioServer

_log = logging.getLogger(__name__)

AUTH_VARIABLE = "SFUMATO_WEB_AUTH"
OBJECTS_BEFORE_COLLECTION = 10_000
"""Once the server runs; the program starts with a number that is for short lives."""
SECONDS_FOR_FIRST_PAGE = 1.0
"""How long a browser that is waiting is given the processor alone."""


def ui(
    studio: Studio,
    host: Annotated[
        str | None, typer.Option(help="The address to answer at; by default the setting web.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0 takes any that is free; by default the setting web.port."),
    ] = None,
    auth: Annotated[
        str,
        typer.Option(
            metavar="USER:PASSWORD",
            envvar=AUTH_VARIABLE,
            help="One more user, for this run. Better by the variable: lists of processes show options.",
            show_default=False,
        ),
    ] = "",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser.")] = False,
    no_workers: Annotated[
        bool, typer.Option("--no-workers", help="Leave the queue to another process.")
    ] = False,
) -> None:
    """Start the studio in the browser."""
    from sfumato_ui_web.app import create_app
    from sfumato_ui_web.security.log_filter import keep_secrets_out_of_logs
    from sfumato_ui_web.server import StudioServer

    keep_secrets_out_of_logs()
    web = studio.settings.web
    host = host or web.host
    accounts = _accounts(studio, host, auth)
    server = StudioServer(
        create_app(studio, host=host, accounts=accounts, late_routes=True),
        host,
        web.port if port is None else port,
        web.threads,
    )
    output.say(f"The studio answers at {server.url} (Ctrl-C ends it)")
    if open_browser:
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
    _serve(studio, server, workers=not no_workers)


def _accounts(studio: Studio, host: str, auth: str) -> Accounts:
    """Raises `BadInput` where others could come in and nobody would have to log in."""
    from sfumato_ui_web.security.accounts import Accounts
    from sfumato_ui_web.security.origins import is_loopback

    accounts = Accounts(studio, always=not is_loopback(host), visitor=auth)
    if not is_loopback(host) and not accounts.are_known():
        raise BadInput(
            f"The studio does not answer at {host} without users.",
            why="Others can reach that address, and could do everything.",
            hint="Add a user first: sfumato users add NAME. Or set SFUMATO_WEB_AUTH to USER:PASSWORD.",
        )
    return accounts


def _serve(studio: Studio, server: StudioServer, *, workers: bool) -> None:
    """Until an interrupt or SIGTERM. Raises `SfumatoError` when the database cannot be used."""
    ending = threading.Event()
    refused: list[SfumatoError] = []

    def start_rest() -> None:
        try:
            _start_rest(studio, server, workers, ending)
        except SfumatoError as error:
            refused.append(error)
            server.stop()

    rest = threading.Thread(target=start_rest, daemon=True)
    rest.start()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        server.run()
    finally:
        signal.signal(signal.SIGTERM, before)
        ending.set()
        server.stop()
        rest.join()
        if workers:
            studio.workers.stop()
    if refused:
        raise refused[0]


def _start_rest(studio: Studio, server: StudioServer, workers: bool, ending: threading.Event) -> None:
    """What the first page need not wait for: routes for programs, and the processes that work."""
    server.finish_application(SECONDS_FOR_FIRST_PAGE)
    gc.freeze()  # what was imported stays, and is not gone through again and again
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    if ending.is_set():
        return
    if workers:
        studio.jobs.last_event()  # without its database the studio is of no use
        _start_workers(studio)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _start_workers(studio: Studio) -> None:
    try:
        studio.workers.start()
    except Exception as error:  # the pages are of use even so
        _log.exception("The queue is not worked off: %s", error)


def users(
    studio: Studio,
    action: Annotated[str, typer.Argument(help="list, add, remove, token or revoke.")] = "list",
    name: Annotated[str, typer.Argument(help="The user.", show_default=False)] = "",
    label: Annotated[str, typer.Option(help="What a new token is for.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Who may log in to the web interface, and tokens for programs.

    "add" asks for a password, and changes that of a known user; "token" shows a new token, once; "revoke"
    ends all tokens of a user.
    """
    from sfumato_ui_web.security.user_store import UserStore

    store = UserStore(studio.database)
    if action == "list":
        return _list(store, as_json)
    if not name:
        raise BadInput(f"Whom to {action}?", hint=f"Write: sfumato users {action} NAME")
    if action == "add":
        new = store.set_password(name, _ask_password())
        output.say(f"{name} can log in." if new else f"{name} has a new password.")
    elif action == "remove":
        store.remove(name)
        output.say(f"{name} cannot log in any more.")
    elif action == "token":
        output.say("Keep it well: it is shown only now.")
        typer.echo(store.add_token(name, label))
    elif action == "revoke":
        output.say(f"{store.remove_tokens(name)} tokens ended.")
    else:
        raise BadInput(f"There is no 'users {action}'.", hint="Known: list, add, remove, token, revoke.")
    return None


def _list(store: UserStore, as_json: bool) -> None:
    known = [{"name": name, "tokens": store.token_count(name)} for name in store.names()]
    if as_json:
        return output.print_json(known)
    if not known:
        return output.say("There are no users: nobody has to log in on this machine.")
    return output.print_table(("user", "tokens"), [(str(u["name"]), str(u["tokens"])) for u in known])


def _ask_password() -> str:
    """From the terminal unseen and twice, or one line of what is piped in."""
    import sys

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password
