"""A request as `sfumato memory plan` is given it: a prompt, a file in TOML or JSON, or a picture."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import BadInput
from sfumato.studio import build_request
from sfumato_memory.files import is_file

if TYPE_CHECKING:
    from sfumato.request import GenerationRequest
    from sfumato.studio import Studio

FILES = (".toml", ".json", ".png", ".jpg", ".jpeg", ".webp", ".avif")
"""Endings of a word that is no prompt."""


def request_from(studio: Studio, source: str, fields: Mapping[str, Any]) -> GenerationRequest:
    """The request, with these fields in place of its own.

    Args:
        source: A prompt, or the path of a file that is there.

    Raises:
        BadInput: there is no such file, the file holds no request, or a field is unknown or out of range.
    """
    path = Path(source).expanduser()
    if not is_file(path) and path.suffix.lower() in FILES and len(source.split()) == 1:
        raise BadInput(
            f"There is no file '{path}'.", hint="A prompt is given in words, a request by its file."
        )
    if not is_file(path):
        return build_request(source, dict(fields))
    given = {**_read(studio, path), **fields}
    return build_request(str(given.pop("prompt", "")), given)


def _read(studio: Studio, path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in (".toml", ".json"):
        return _remembered(studio, path)
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise BadInput(f"'{path}' cannot be read.", why=f"{error}.") from error
    if not isinstance(found, dict):
        raise BadInput(f"'{path}' holds no request.", hint='Write fields, such as prompt = "a red apple".')
    return found


def _remembered(studio: Studio, path: Path) -> dict[str, Any]:
    """What a picture was drawn by."""
    answer = studio.ask("read_picture", path=path).model_dump()
    if not answer["request"]:
        raise BadInput(
            f"'{path}' remembers no request.",
            why=answer["problem"],
            hint="Give a prompt, a file in TOML or JSON, or a picture that Sfumato drew.",
        )
    found: dict[str, Any] = answer["request"]
    return found
