"""Pictures that were saved just before a crash, before the journal could tell of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sfumato.errors import BadInput
from sfumato.records import ImageRecord
from sfumato.request import GenerationRequest
from sfumato_pictures.reading import SUFFIXES, read_picture

CLOCK_SLACK = 2.0
"""Seconds that a file system's clock may be coarse."""

_COMPARED = ("seed", "steps", "cfg_scale", "width", "height", "clip_skip", "batch_size", "count")
"""Fields that resolving a request leaves as they are, where they are given."""


def saved_unnoticed(
    request: GenerationRequest, folder: Path, since: float, known: Iterable[Path]
) -> tuple[ImageRecord, ...]:
    """The pictures of a cell that was being drawn when its grid was cut short; none unless all are there.

    Args:
        since: When the cell was begun, in seconds since 1970.
        known: Pictures of other cells.
    """
    others = set(known)
    found = [image for image in _drawn_since(folder, since, others) if _fits(image, request)]
    return tuple(found) if len(found) == request.image_total else ()


def _drawn_since(folder: Path, since: float, others: set[Path]) -> Iterator[ImageRecord]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or path in others:
            continue
        if path.stat().st_mtime < since - CLOCK_SLACK:
            continue
        image = _record(path)
        if image is not None:
            yield image


def _record(path: Path) -> ImageRecord | None:
    """A picture's record, from the story in it."""
    try:
        picture = read_picture(path)
        story = json.loads(picture.metadata.story)
        request, seed = GenerationRequest.model_validate(story["request"]), int(story["seed"])
    except (BadInput, ValidationError, ValueError, KeyError, TypeError):
        return None
    width, height = picture.size
    return ImageRecord(
        path=path,
        seed=seed,
        width=width,
        height=height,
        infotext=picture.metadata.parameters,
        request=request,
    )


def _fits(image: ImageRecord, request: GenerationRequest) -> bool:
    names = _COMPARED if request.styles else ("prompt", "negative_prompt", *_COMPARED)
    wanted: dict[str, Any] = {name: getattr(request, name) for name in names}
    return all(value is None or getattr(image.request, name) == value for name, value in wanted.items())
