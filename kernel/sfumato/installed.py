"""Which plugins are installed, as the metadata of distributions tell; one that is damaged hides no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from importlib_metadata import EntryPoint, IDistribution, distributions

from sfumato.hookspecs import PROJECT


@dataclass(frozen=True)
class InstalledPlugin:
    """An entry point of group `sfumato`; `problem` tells why it cannot be used."""

    name: str
    distribution: str = ""
    version: str = ""
    entry_point: EntryPoint | None = None
    problem: Exception | None = None


def installed_plugins() -> list[InstalledPlugin]:
    """All of them in name order, those of one name by distribution."""
    found: dict[str, list[InstalledPlugin]] = {}
    for distribution in distributions():
        brought = list(_brought_by(distribution))
        if brought:  # a distribution found twice on the import path is the one found first
            found.setdefault(brought[0].distribution.lower() or brought[0].name, brought)
    return sorted(
        (plugin for brought in found.values() for plugin in brought),
        key=lambda plugin: (plugin.name, plugin.distribution),
    )


def _brought_by(distribution: IDistribution) -> Iterator[InstalledPlugin]:
    try:
        points = list(distribution.entry_points.select(group=PROJECT))
    except Exception as error:  # of a file that is no list of entry points
        if f"[{PROJECT}]" in _text_of_entry_points(distribution):
            name = _name(distribution)
            yield InstalledPlugin(name or "unknown", name, problem=error)
        return
    for point in points:
        try:
            yield InstalledPlugin(point.name, distribution.name, distribution.version, point)
        except Exception as error:  # no METADATA, or one without name or version
            yield InstalledPlugin(point.name, _name(distribution), problem=error)


def _text_of_entry_points(distribution: IDistribution) -> str:
    try:
        return distribution.read_text("entry_points.txt") or ""
    except Exception:  # no text at all
        return ""


def _name(distribution: IDistribution) -> str:
    try:
        return distribution.name
    except Exception:
        return ""
