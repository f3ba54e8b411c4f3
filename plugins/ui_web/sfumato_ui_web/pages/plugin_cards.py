"""What the page Plugins tells of each plugin."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError
from sfumato.plugins import PluginRecord, PluginState
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.registries import Registries
    from sfumato.studio import Studio

DISABLED_KEY = "plugins.disabled"


@dataclass(frozen=True)
class Brought:
    """What a plugin registered in one registry: names with labels."""

    kind: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PluginCard:
    """One plugin.

    Attributes:
        wanted: Whether it is on after the next start.
        sections: Its sections of settings.
        required: Why it cannot be switched off here; empty where it can.
    """

    record: PluginRecord
    brought: tuple[Brought, ...]
    sections: tuple[str, ...]
    wanted: bool
    required: str = ""

    @property
    def state(self) -> str:
        return self.record.state.value

    @property
    def changes_at_restart(self) -> bool:
        return self.wanted is (self.record.state is PluginState.DISABLED)

    @property
    def search_text(self) -> str:
        entries = (text for kind in self.brought for entry in kind.entries for text in entry)
        return " ".join([self.record.name, self.record.distribution, *entries]).lower()


def plugin_cards(studio: Studio) -> list[PluginCard]:
    """All installed plugins: those in quarantine first, those that are switched off last."""
    order = {PluginState.QUARANTINED: 0, PluginState.ACTIVE: 1, PluginState.DISABLED: 2}
    disabled = disabled_at_next_start(studio.settings)
    cards = [_card(record, studio.registries, record.name not in disabled) for record in studio.plugins]
    return sorted(cards, key=lambda card: (order[card.record.state], card.record.name))


def disabled_at_next_start(settings: Settings) -> set[str]:
    """The names that the settings file has now, whatever it had when the server started."""
    if settings.where(DISABLED_KEY).source not in ("default", "file"):
        return set(settings.plugins.disabled)
    try:
        return set(Settings.load(file=settings.file, environ={}, lenient=True).in_file(DISABLED_KEY))
    except SfumatoError:
        return set(settings.plugins.disabled)


def _card(record: PluginRecord, registries: Registries, wanted: bool) -> PluginCard:
    found = []
    for field in fields(registries):
        registry = getattr(registries, field.name)
        entries = tuple(
            (entry.info.name, entry.info.label) for entry in registry if entry.plugin == record.name
        )
        if entries:
            found.append(Brought(field.name.replace("_", " "), entries))
    sections = tuple(entry.info.name for entry in registries.settings if entry.plugin == record.name)
    return PluginCard(record, tuple(found), sections, wanted, "ui" if record.name == "ui_web" else "")
