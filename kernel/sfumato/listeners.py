"""Listeners of plugins: told of all work in the process that does it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfumato.errors import SfumatoError
from sfumato.events import Event, EventBus
from sfumato.registry import Entry

_FAILING = "listeners.failing"

if TYPE_CHECKING:
    from sfumato.studio import Studio

log = logging.getLogger(__name__)


class ListenerInfo(BaseModel):
    """A listener as registered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    kinds: tuple[str, ...] = Field(
        default=(), description="The kinds of events that it is told of; none means all."
    )


class StudioListener(Protocol):
    """Takes note of an event; what it raises is logged, a `SfumatoError` in one line and once."""

    def __call__(self, event: Event, studio: Studio) -> None: ...


def listen(events: EventBus, studio: Studio) -> None:
    """Let every registered listener hear the events of one piece of work."""
    for entry in studio.registries.listeners:
        events.subscribe(partial(_hear, entry, studio))


def _hear(entry: Entry[ListenerInfo], studio: Studio, event: Event) -> None:
    if entry.info.kinds and event.kind not in entry.info.kinds:
        return
    try:
        listener: StudioListener = entry.load()
        listener(event, studio)
    except SfumatoError as error:
        failing: set[str] = studio.workspace.setdefault(_FAILING, set())
        if entry.info.name not in failing:
            failing.add(entry.info.name)
            log.warning("'%s' takes no note: %s", entry.info.label, error)
