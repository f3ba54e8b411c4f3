"""What extras write into a picture, in A1111's keys."""

from __future__ import annotations

from collections.abc import Mapping

from sfumato.request import UpscaleRequest
from sfumato_pictures import infotext
from sfumato_pictures.metadata import GRAPH, PARAMETERS, STORY, WORKFLOW, Metadata

POSTPROCESSING = "postprocessing"
"""The text in which A1111's extras tell of themselves."""


def fields(
    request: UpscaleRequest, upscaler: str | None, second: str | None, face_restorer: str | None
) -> dict[str, str]:
    """What was done, by key; the names are those that people know.

    A1111 does not tell the shares of the second upscaler and of face restoration as these do.

    Args:
        upscaler: None where the picture kept its size.
    """
    found = _enlarging_fields(request, upscaler, second) if upscaler else {}
    if face_restorer:
        found["Postprocess face restoration"] = face_restorer
        found["Postprocess face restoration visibility"] = f"{request.face_visibility:g}"
    return found


def _enlarging_fields(request: UpscaleRequest, upscaler: str, second: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    if request.width or request.height:
        found["Postprocess upscale to"] = f"{request.width}x{request.height}"
        if request.crop and request.width and request.height:
            found["Postprocess crop to"] = f"{request.width}x{request.height}"
    else:
        found["Postprocess upscale by"] = f"{request.scale:g}"
    found["Postprocess upscaler"] = upscaler
    if second:
        found["Postprocess upscaler 2"] = second
        found["Postprocess upscaler 2 visibility"] = f"{request.second_visibility:g}"
    return found


def texts(had: Metadata, done: Mapping[str, str]) -> dict[str, str]:
    """All texts that a picture had, and what was done to it.

    It stands in a text of its own, as in A1111, and at the end of an infotext with fields as well.
    """
    line = ", ".join(f"{key}: {infotext.quoted(value)}" for key, value in done.items())
    kept = {PARAMETERS: had.parameters, STORY: had.story, GRAPH: had.graph, WORKFLOW: had.workflow}
    found = {**had.texts, **{key: text for key, text in kept.items() if text}}
    if not line:
        return found
    if infotext.read(had.parameters).fields:
        found[PARAMETERS] = f"{had.parameters.rstrip()}, {line}"
    return {**found, POSTPROCESSING: line}
