"""The queries 'infotext_parameters', 'import_infotext', 'read_picture': what texts and pictures remember."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from sfumato.errors import SfumatoError
from sfumato.models import ModelInfo
from sfumato.queries import QueryContext
from sfumato.request.schema import Schema
from sfumato_engine.replay.a1111_parameters import read_parameters
from sfumato_engine.replay.comfyui_import import read_graph
from sfumato_engine.replay.infotext_import import import_values
from sfumato_engine.replay.story import parse_story, request_of
from sfumato_pictures import infotext
from sfumato_pictures.infotext import Infotext
from sfumato_pictures.metadata import Metadata, is_json_object
from sfumato_pictures.reading import read_metadata, read_size


class InfotextRequest(Schema):
    """An A1111 infotext."""

    text: str = Field(max_length=1_000_000)
    model: str | None = Field(
        default=None, description="The model to draw with; by default the one it names, if that is here."
    )


class Parameters(BaseModel):
    """The flat dictionary that A1111 makes of an infotext."""

    parameters: dict[str, Any]


class ImportedRequest(BaseModel):
    """Fields of a request as a form has them: a start picture may still have to be chosen."""

    request: dict[str, Any] = {}
    left: tuple[str, ...] = Field(default=(), description="What could not be carried over, in words.")


class PictureRequest(Schema):
    """Which picture."""

    path: Path


class PictureMemory(ImportedRequest):
    """What a picture remembers."""

    width: int
    height: int
    source: str = Field(description="'sfumato', 'a1111', 'comfyui', 'other', or nothing.")
    infotext: str = ""
    texts: dict[str, str] = Field(default={}, description="All other texts in it, by keyword.")
    problem: str = Field(default="", description="Why no request could be made of it.")


def infotext_parameters(request: InfotextRequest, context: QueryContext) -> Parameters:
    return Parameters(parameters=read_parameters(request.text))


def import_infotext(request: InfotextRequest, context: QueryContext) -> ImportedRequest:
    return _imported(infotext.read(request.text), request.model, context)


def read_picture(request: PictureRequest, context: QueryContext) -> PictureMemory:
    """Raises `BadInput` for what is no picture."""
    width, height = read_size(request.path)
    metadata = read_metadata(request.path)
    problem, imported = "", ImportedRequest()
    try:
        imported = _request_of(metadata, context)
    except SfumatoError as error:
        problem = str(error)
    return PictureMemory(
        width=width,
        height=height,
        source=metadata.source,
        infotext=metadata.parameters,
        texts={key: text for key, text in metadata.texts.items() if text != metadata.parameters},
        problem=problem,
        **imported.model_dump(),
    )


def _request_of(metadata: Metadata, context: QueryContext) -> ImportedRequest:
    if metadata.story:
        asked, unknown = request_of(parse_story(metadata.story))
        return ImportedRequest(
            request=asked.model_dump(mode="json", exclude_defaults=True), left=tuple(unknown)
        )
    if metadata.parameters and not is_json_object(metadata.parameters):
        return _imported(infotext.read(metadata.parameters), None, context)
    if metadata.graph:
        return _imported(read_graph(metadata.graph), None, context)
    return ImportedRequest()


def _imported(text: Infotext, model: str | None, context: QueryContext) -> ImportedRequest:
    info = _model(model or text.fields.get("Model", "").strip() or None, context)
    values, left = import_values(text, info, context.registries, context.library)
    if info is not None:
        values = {"model": info.name, **values}
    elif "Model" in text.fields:
        left.append(f"the model '{text.fields['Model']}', which is not here")
    return ImportedRequest(request=_plain(values), left=tuple(left))


def _model(name: str | None, context: QueryContext) -> ModelInfo | None:
    try:
        return context.library.find(name) if name else None
    except SfumatoError:
        return None


def _plain(values: Any) -> Any:
    """As JSON has it."""
    if isinstance(values, BaseModel):
        return values.model_dump(mode="json", exclude_unset=True)
    if isinstance(values, dict):
        return {key: _plain(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_plain(value) for value in values]
    return str(values) if isinstance(values, Path) else values
