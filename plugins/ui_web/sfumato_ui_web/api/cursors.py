"""Lists page by page: a cursor names the last item that was seen, so that what is added moves nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pydantic import Field

from sfumato_ui_web.api.endpoints import Message, Refusal

MOST = 200


class ListQuery(Message):
    """Which part of a list."""

    cursor: str | None = Field(default=None, max_length=200, description="The `next` of the page before.")
    limit: int = Field(default=50, ge=1, le=MOST, description="Items a page.")


def make_cursor(place: int | str) -> str:
    """Opaque to clients: what it is made of may change."""
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """The place that `make_cursor` was given; raises `Refusal` 422 for what no page gave."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise _unknown() from error


def read_number(cursor: str | None) -> int | None:
    """As `read_cursor`, where the place is a number; None for the first page."""
    if cursor is None:
        return None
    place = read_cursor(cursor)
    if not (place.isascii() and place.isdigit() and len(place) < 19):
        raise _unknown()
    return int(place)


def listing(items: list[Any], following: int | str | None = None) -> dict[str, Any]:
    """A page of a list, with the cursor of the one that follows."""
    return {"items": items, "next": None if following is None else make_cursor(following)}


def _unknown() -> Refusal:
    return Refusal(422, "This cursor is none that a list gave.", hint="Begin without one.", pointer="/cursor")
