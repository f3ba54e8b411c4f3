"""The studio that documentation describes: this repository's plugins, nobody's settings."""

from __future__ import annotations

from pathlib import Path

from sfumato.plugins import PluginManager
from sfumato.settings import Settings
from sfumato.studio import Studio

ROOT = Path(__file__).resolve().parents[1]


def bundled_studio() -> Studio:
    """A studio with the plugins of this repository alone, and no settings of the person running this."""
    bundled = {path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    manager = PluginManager()
    manager.discover()
    foreign = sorted({record.name for record in manager} - bundled)
    nowhere = ROOT / "no-such-settings.toml"
    return Studio(Settings.load(file=nowhere, environ={}, overrides={"plugins.disabled": ",".join(foreign)}))
