"""Two pictures and two stories, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sfumato.replay import Difference
from sfumato.text import writable
from sfumato_engine.replay.story import StoredFile, Story

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_VALUE = 200
"""Characters shown of a value that a stranger may have written."""


def compare_pixels(old: Image, new: Image) -> tuple[int, float] | None:
    """The largest difference of any channel in levels of 255, and the share of pixels that differ at all.

    None when the pictures are not of one size.
    """
    from PIL import ImageChops

    if old.size != new.size:
        return None
    channels = ImageChops.difference(old, new).split()
    largest = channels[0]
    for channel in channels[1:]:
        largest = ImageChops.lighter(largest, channel)
    levels = largest.histogram()
    highest = max(level for level, count in enumerate(levels) if count)
    return highest, 1 - levels[0] / sum(levels)


def compare_stories(then: Story, now: Story) -> list[Difference]:
    """What was not as it is: machine, software, files."""
    differences = [
        *compare_values("", then.surroundings, now.surroundings),
        *_compare_files("model", [then.model], [now.model]),
    ]
    for file_then, file_now in zip(then.models, now.models, strict=False):
        differences += _compare_files(f"model '{shown(file_then.name)}'", [file_then], [file_now])
    for kind in dict.fromkeys([*then.parts, *now.parts]):
        differences += _compare_files(kind, then.parts.get(kind, ()), now.parts.get(kind, ()))
    adapters = [{file.name: file for file in story.adapters} for story in (then, now)]
    for what, (files_then, files_now) in (("adapter ", adapters), ("", (then.inputs, now.inputs))):
        for name in files_then.keys() & files_now.keys():
            differences += _compare_files(f"{what}{shown(name)}", [files_then[name]], [files_now[name]])
    return differences


def compare_values(name: str, then: Any, now: Any) -> list[Difference]:
    """The leaves of two nested mappings that differ; what one environment alone notes is no difference."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        inner = name in ("plugins", "contributors")
        keys = [key for key in dict.fromkeys([*then, *now]) if inner or (key in then and key in now)]
        return [
            difference
            for key in keys
            if key != "digest"
            for difference in compare_values(_called(name, key), then.get(key), now.get(key))
        ]
    return [] if then == now else [Difference(what=name, then=shown(then), now=shown(now))]


def _called(name: str, key: str) -> str:
    """ "plugin flux", "compute type of transformer"."""
    kinds = {"plugins": "plugin", "compute_types": "compute type", "contributors": "plugin that brought the"}
    return shown(f"{kinds.get(name, name)} {key}".strip())


def _compare_files(kind: str, then: Iterable[StoredFile], now: Iterable[StoredFile]) -> list[Difference]:
    """By hash: a file of another name is the same file."""
    hashes_then, hashes_now = ([file.sha256 for file in files] for files in (then, now))
    if hashes_then == hashes_now or not all([*hashes_then, *hashes_now]):
        return []
    return [Difference(what=f"{kind} file", then=_files(then), now=_files(now))]


def _files(files: Iterable[StoredFile]) -> str:
    return shown(", ".join(f"{file.file} ({file.sha256[:10]})" for file in files))


def shown(value: Any, longest: int = LONGEST_VALUE) -> str:
    """A value in a few words, on one line."""
    return "" if value is None else " ".join(writable(str(value)[:longest]).split())
