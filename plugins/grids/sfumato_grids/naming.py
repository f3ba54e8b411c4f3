"""Names of pictures that follow those of the pictures they are made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sfumato.tasks import TaskContext
from sfumato_pictures.settings import SavingSettings

_PLAIN_BRACKETS = str.maketrans("[]{}", "()()")
"""Brackets would stand for something in a pattern."""


def saving_settings(context: TaskContext) -> SavingSettings:
    """The section "saving", or what holds without it."""
    settings: SavingSettings | None = getattr(context.settings, "saving", None)
    return settings or SavingSettings()


def named(context: TaskContext, file_name: str) -> TaskContext:
    """A context in which pictures are saved under this name, without a number before it."""
    if not file_name:
        return context
    update = {"file_name": file_name.translate(_PLAIN_BRACKETS), "number_files": False}
    saving = saving_settings(context).model_copy(update=update)
    engine = getattr(context.settings, "engine", None)
    if engine is not None and "file_name" in type(engine).model_fields:
        engine = engine.model_copy(update={"file_name": ""})  # a pattern kept there would go first
    return replace(context, settings=_SettingsWith(context.settings, {"saving": saving, "engine": engine}))


class _SettingsWith:
    """Settings with other sections in place of some."""

    def __init__(self, settings: Any, sections: dict[str, Any]) -> None:
        self._settings = settings
        self._sections = sections

    def __getattr__(self, name: str) -> Any:
        section = self._sections.get(name)
        return getattr(self._settings, name) if section is None else section
