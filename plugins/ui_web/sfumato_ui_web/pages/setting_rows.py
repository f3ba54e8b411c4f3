"""What the page Settings tells of each setting."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from sfumato.settings import Settings, allowed
from sfumato_ui_web.forms import FormField, fields_of
from sfumato_ui_web.setting_rules import is_secret

if TYPE_CHECKING:
    from sfumato.studio import Studio

RESTARTS_SERVER = ("web", "plugins", "general", "jobs")
"""Sections that the server itself reads when it starts; workers read all settings anew."""
SECRET_SHOWN = "••••••••"


@dataclass(frozen=True)
class SettingRow:
    """One setting.

    Attributes:
        value: In force, as JSON has it; None for a secret that is set.
        origin: "default", "file", "environment" or "command line".
        detail: The file, the variable or the option that gave it.
        applies: "worker" where workers take a change up with their next job, "server" where the server has
            to start again.
    """

    key: str
    field: FormField
    value: Any
    default: Any
    origin: str
    detail: str
    allowed: str
    applies: str
    secret: bool = False
    is_set: bool = True

    @property
    def overridden(self) -> bool:
        """Whether something stronger than the file gives the value: a change of the file has no effect."""
        return self.origin in ("environment", "command line")

    @property
    def search_text(self) -> str:
        return f"{self.key} {self.field.title} {self.field.description}".lower()

    @property
    def changed(self) -> bool:
        return self.origin != "default"

    def as_json(self) -> dict[str, Any]:
        """What the page's script needs after a change."""
        return {
            "key": self.key,
            "value": self.value,
            "default": self.default,
            "origin": self.origin,
            "detail": self.detail,
            "overridden": self.overridden,
            "applies": self.applies,
        }


@dataclass(frozen=True)
class SettingSection:
    """A section with its settings."""

    name: str
    label: str
    description: str
    rows: tuple[SettingRow, ...]


def setting_sections(studio: Studio) -> list[SettingSection]:
    """All sections, the kernel's first, as the files and variables give them now."""
    settings = current_settings(studio)
    labels = {entry.info.name: entry.info.label for entry in studio.registries.settings}
    names = dict.fromkeys(key.partition(".")[0] for key in tuple(settings.keys()))
    return [_section(settings, name, labels.get(name, name.capitalize())) for name in names]


def setting_row(studio: Studio, key: str) -> SettingRow:
    """One setting as it is now; raises `UnknownName`."""
    settings = current_settings(studio)
    settings.field(key)
    section = key.partition(".")[0]
    return next(row for row in _rows(settings, section) if row.key == key.strip().lower())


def current_settings(studio: Studio) -> Settings:
    """The settings read again: another program, or this page, may have changed the file."""
    return studio.settings.read_again()


def _section(settings: Settings, name: str, label: str) -> SettingSection:
    description = description_of(type(getattr(settings, name)))
    return SettingSection(name, label, description, tuple(_rows(settings, name)))


def description_of(section: type) -> str:
    """What is said of a section: the first paragraph of its docstring."""
    return " ".join((section.__doc__ or "").strip().partition("\n\n")[0].split())


def _rows(settings: Settings, section: str) -> Iterable[SettingRow]:
    model = type(getattr(settings, section))
    for field in fields_of(model, section):
        key = field.path
        provenance = settings.where(key)
        value = to_jsonable_python(settings.get(key), fallback=str)
        secret = is_secret(key, field.extra)
        yield SettingRow(
            key=key,
            field=field,
            value=None if secret else value,
            default=None if secret else field.default,
            origin=provenance.source,
            detail=provenance.detail,
            allowed=allowed(settings.field(key)),
            applies="server" if section in RESTARTS_SERVER else "worker",
            secret=secret,
            is_set=bool(value),
        )


def as_lines(value: Any) -> str:
    """A list with one item a line; anything else as one text."""
    if isinstance(value, (list, tuple)):
        return "\n".join(str(item) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
