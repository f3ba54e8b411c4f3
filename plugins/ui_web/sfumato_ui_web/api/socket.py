"""/events/socket: events of jobs over a WebSocket (RFC 6455), each message one event as JSON.

The client may begin with ``{"after": seq}``, to have what came since; otherwise it gets what happens from now
on. The first answer, ``{"kind": "connected", "seq": ...}``, tells after which event the others begin. Whoever
reads too slowly is cut off, connects again and goes on after what was seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

from sfumato.jobs.records import LOCAL_USER
from sfumato.studio import Studio
from sfumato_ui_web.api.events import FURTHEST, seen_by

PATH = "/events/socket"
FIRST_MESSAGE_SECONDS = 2.0
_POLICY = 1008
"""Close code for a message that is not understood."""


def handler_for(studio: Studio) -> Callable[[Any, str], None]:
    """What talks to one client, to be called with the connection and the user's name."""

    def talk(connection: Any, user: str) -> None:
        latest = studio.jobs.last_event()
        try:
            after = _first_message(connection.receive(timeout=FIRST_MESSAGE_SECONDS))
        except ValueError as error:
            connection.close(_POLICY, str(error))
            return
        owner = None if user == LOCAL_USER else user
        begin = latest if after is None else after
        connection.send(json.dumps({"kind": "connected", "seq": begin}))
        with closing(seen_by(studio, owner, begin)) as events:
            for event in events:
                while connection.connected and connection.receive(timeout=0) is not None:
                    pass  # nothing more is expected, and nothing shall pile up
                if not connection.connected:
                    return
                if event is not None:
                    connection.send(event.model_dump_json())

    return talk


def _first_message(message: Any) -> int | None:
    """The `seq` after which events are wanted; raises `ValueError` with what a message has to be."""
    if message is None:
        return None
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        found = None
    after = found.get("after") if isinstance(found, dict) else found
    is_number = isinstance(after, int) and not isinstance(after, bool) and 0 <= after <= FURTHEST
    if not isinstance(found, dict) or not (after is None or is_number):
        raise ValueError('Send {"after": number of an event}.')
    return after
