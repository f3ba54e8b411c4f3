"""What pictures tell: ``png-info``; and what is not there yet: ``interrogate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.errors import BadInput
from sfumato_api_a1111.bodies import Fields, body_of
from sfumato_api_a1111.errors import Refusal, failure, json_response
from sfumato_api_a1111.infotext_fields import parameters_of
from sfumato_api_a1111.pictures_in import content_of
from sfumato_api_a1111.state import current_api

if TYPE_CHECKING:
    from flask import Response

_INTERROGATORS = ("clip", "deepdanbooru", "deepbooru")


class PngInfoFields(Fields):
    """The body of ``png-info``."""

    image: str


class InterrogateFields(Fields):
    """The body of ``interrogate``."""

    image: str = ""
    model: str = "clip"


def png_info() -> Response:
    from sfumato_pictures.metadata import PARAMETERS
    from sfumato_pictures.reading import read_metadata

    api = current_api()
    content = content_of(body_of(PngInfoFields).image, api)
    try:
        metadata = read_metadata(content)
    except BadInput as error:
        raise failure(f"Invalid encoded image. {error}") from error
    text = metadata.parameters
    items = {key: value for key, value in metadata.texts.items() if key != PARAMETERS and value != text}
    parameters = parameters_of(text, api.studio)
    return json_response({"info": text, "items": items, "parameters": parameters})


def interrogate() -> Response:
    fields = body_of(InterrogateFields)
    if fields.model not in _INTERROGATORS:
        raise Refusal(404, "Model not found", error="HTTPException", body="", errors="")
    raise Refusal(501, "No plugin of this studio describes pictures yet.")
