"""The studio that documentation describes: this repository's plugins, nobody's settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sfumato.plugins import PluginManager
from sfumato.settings import Settings
from sfumato.studio import Studio

ROOT = Path(__file__).resolve().parents[1]


def bundled_studio(changes: Mapping[str, str] | None = None) -> Studio:
    """A studio with the plugins of this repository alone, and no settings of the person running this.

    Args:
        changes: Settings that differ from their defaults, by key.
    """
    bundled = {path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    manager = PluginManager()
    manager.discover()
    foreign = sorted({record.name for record in manager} - bundled)
    nowhere = ROOT / "no-such-settings.toml"
    overrides = {**(changes or {}), "plugins.disabled": ",".join(foreign)}
    return Studio(Settings.load(file=nowhere, environ={}, overrides=overrides))
