"""Rows of the index as clients see them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sfumato.errors import BadInput
from sfumato_gallery.index import Found
from sfumato_gallery.records import Picture, PictureDetails

ADDRESS = "/api/v1/pictures"
_SHOWN = (
    "id", "width", "height", "size", "seed", "steps", "cfg", "sampler", "model", "prompt", "negative_prompt",
    "favourite", "score", "job", "index_in_job", "missing",
)  # fmt: skip


def picture(row: Found, loras: Mapping[int, Sequence[str]]) -> Picture:
    return Picture.model_construct(**_fields(row, loras))


def details(row: Found, loras: Mapping[int, Sequence[str]], file: Path | None) -> PictureDetails:
    """All of a picture, its file read anew."""
    return PictureDetails(**_fields(row, loras), **_read(row, file))


def _fields(row: Found, loras: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    version = f"{int(row.modified * 1000):x}"
    origin = Path(row.original) if row.original else Path(row.path)
    return {name: getattr(row, name) for name in _SHOWN} | {
        "name": origin.name,
        "folder": str(origin.parent),
        "url": f"{ADDRESS}/{row.id}/file?v={version}",
        "thumbnail": f"{ADDRESS}/{row.id}/thumbnail?size=256&v={version}",
        "created": datetime.fromtimestamp(row.created, UTC),
        "trashed": None if row.trashed is None else datetime.fromtimestamp(row.trashed, UTC),
        "loras": tuple(loras.get(row.number, ())),
    }


def _read(row: Found, file: Path | None) -> dict[str, Any]:
    from sfumato_pictures import infotext
    from sfumato_pictures.metadata import Metadata
    from sfumato_pictures.reading import read_metadata

    try:
        metadata = read_metadata(file) if file else Metadata()
    except BadInput:
        metadata = Metadata()
    return {
        "infotext": row.infotext,
        "source": metadata.source,
        "fields": infotext.read(row.infotext).fields if metadata.source != "other" else {},
        "request": _request(metadata.story),
    }


def _request(story: str) -> dict[str, Any] | None:
    """The request that makes this one picture again."""
    try:
        told = json.loads(story)
        request: dict[str, Any] = dict(told["request"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    request |= {"seed": told.get("seed", request.get("seed")), "count": 1, "batch_size": 1}
    if told.get("variation_seed") is not None:
        request["variation_seed"] = told["variation_seed"]
    return request
