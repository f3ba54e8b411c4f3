"""How pictures are saved, as the settings say. No tensor library is imported here."""

from __future__ import annotations

from sfumato.tasks import TaskContext
from sfumato_pictures.settings import SavingSettings


def saving_settings(context: TaskContext) -> SavingSettings:
    """The section "saving"; a name pattern of the engine's own, where it was kept before, goes first."""
    settings: SavingSettings = getattr(context.settings, "saving", None) or SavingSettings()
    pattern = context.settings.engine.file_name
    return settings.model_copy(update={"file_name": pattern}) if pattern else settings
