"""Declared addresses for programs, for plugins that bring their own: see `sfumato_ui_web.api.endpoints`.

    class Notes:
        def __init__(self, studio: Studio) -> None: ...

        @endpoint("GET", "/<int:number>", answer=Note, errors=(404,), summary="One note", tags=("Notes",))
        def get(self, number: int) -> Note: ...

    mount(blueprint, Notes(studio))

What is mounted is part of the OpenAPI document.
"""

from sfumato_ui_web.api.cursors import ListQuery, listing, read_cursor
from sfumato_ui_web.api.endpoints import Empty, Endpoint, Message, NoBody, Refusal, endpoint, mount
from sfumato_ui_web.api.owners import current_user, is_local, owner

__all__ = [
    "Empty",
    "Endpoint",
    "ListQuery",
    "Message",
    "NoBody",
    "Refusal",
    "current_user",
    "endpoint",
    "is_local",
    "listing",
    "mount",
    "owner",
    "read_cursor",
]
