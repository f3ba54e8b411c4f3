"""Real plugin distributions, written to disk as pip would install them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest


class InstallPlugin(Protocol):
    """Writes a distribution with one plugin module; returns the module's name."""

    def __call__(self, name: str, source: str, *, version: str = "1.0", distribution: str = "") -> str: ...


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallPlugin]:
    """Installs plugins into a folder of their own, in front of the import path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    installed: list[str] = []

    def install(name: str, source: str, *, version: str = "1.0", distribution: str = "") -> str:
        distribution = distribution or f"{name}-dist"
        module = distribution.replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(source), "utf-8")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, "utf-8")
        (info / "entry_points.txt").write_text(f"[sfumato]\n{name} = {module}\n", "utf-8")
        installed.append(module)
        return module

    yield install
    for module in installed:
        sys.modules.pop(module, None)
