"""The face of the plugin pictures to the kernel."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo

SFUMATO_API = "1.0"


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("saving", "sfumato_pictures.settings:SavingSettings", label="Saving")
