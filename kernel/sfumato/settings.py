"""Settings: sections of pydantic models, layered from defaults, a TOML file, the environment and the command line."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SettingsSectionInfo(BaseModel):
    """A section of settings as registered by a plugin."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()
