"""What is known of a picture file: read from the file itself, or from the record of the job that saved it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato_gallery import comfyui
from sfumato_gallery.records import PictureFacts

if TYPE_CHECKING:
    from sfumato_pictures.metadata import Metadata

_TAG = re.compile(r"<(?:lora|lyco|lyn):([^:>]+)[^>]*>")
_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".gguf")


def read_facts(path: Path, stat: os.stat_result | None = None) -> PictureFacts:
    """What a file tells.

    Raises:
        BadInput: it is no picture that can be read.
        OSError: it is gone.
    """
    from sfumato_pictures.reading import read_metadata, read_size

    stat = stat or path.stat()
    width, height = read_size(path)
    told = told_by(read_metadata(path))
    return PictureFacts(
        path=path, size=stat.st_size, modified=stat.st_mtime, width=width, height=height, **told
    )


def recorded_facts(record: Mapping[str, Any], job: str, index: int | None) -> PictureFacts | None:
    """The same from an `ImageRecord` as JSON; None when its file is gone.

    The record is of the same picture, and reading it saves opening the file again.
    """
    path = Path(record["path"]).absolute()
    try:
        stat = path.stat()
    except OSError:
        return None
    request = record.get("request") or {}
    told = told_by_infotext(record.get("infotext", ""))
    told.setdefault("prompt", request.get("prompt", ""))
    told["seed"] = record.get("seed")
    return PictureFacts(
        path=path, size=stat.st_size, modified=stat.st_mtime, width=record["width"], height=record["height"],
        job=job, index_in_job=index, **told,
    )  # fmt: skip


def told_by(metadata: Metadata) -> dict[str, Any]:
    """Fields of `PictureFacts` from the texts of a picture."""
    if metadata.source in ("sfumato", "a1111"):
        return told_by_infotext(metadata.parameters)
    if metadata.source == "comfyui":
        return comfyui.facts_of(metadata.graph) | {"infotext": ""}
    return _told_by_json(metadata.parameters) if metadata.source == "other" else {}


def told_by_infotext(text: str) -> dict[str, Any]:
    from sfumato_pictures import infotext

    read = infotext.read(text)
    fields = read.fields
    hashed = fields.get("Lora hashes", "")
    loras = (*_TAG.findall(read.prompt), *(part.partition(":")[0].strip() for part in hashed.split(",")))
    return {
        "prompt": read.prompt,
        "negative_prompt": read.negative_prompt,
        "infotext": text,
        "seed": _integer(fields.get("Seed")),
        "steps": _integer(fields.get("Steps")),
        "cfg": _number(fields.get("CFG scale")),
        "sampler": fields.get("Sampler", ""),
        "model": fields.get("Model", ""),
        "loras": tuple(dict.fromkeys(filter(None, loras))),
    }


def _told_by_json(text: str) -> dict[str, Any]:
    """Fooocus writes one JSON object, SwarmUI one within another; both name the prompt alike."""
    found = dict(_leaves(json.loads(text)))
    return {
        "infotext": text,
        "prompt": str(found.get("prompt", "")),
        "negative_prompt": str(found.get("negative_prompt", found.get("negativeprompt", ""))),
        "seed": _integer(found.get("seed")),
        "steps": _integer(found.get("steps")),
        "cfg": _number(found.get("cfgscale", found.get("guidance_scale"))),
        "sampler": str(found.get("sampler", "")),
        "model": _model(str(found.get("base_model", found.get("model", "")))),
    }


def _leaves(value: Any, depth: int = 4) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            if isinstance(inner, dict):
                yield from _leaves(inner, depth - 1)
            elif isinstance(inner, (str, int, float)):
                yield key, inner


def _model(name: str) -> str:
    name = name.replace("\\", "/").rpartition("/")[2]
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)


def _integer(text: Any) -> int | None:
    try:
        number = int(text)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < 2**63 else None


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
