"""The JSON that our pictures carry, read back: data from strangers, whatever it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sfumato.errors import BadInput
from sfumato.request import GenerationRequest

FORMAT = 2
"""Version of the JSON's shape. 1 had no `environment` but `device` and `versions`, and no `size` of files."""

_ALONE = {"batch_size": 1, "count": 1, "backend": "local"}
"""A picture is drawn again by itself, here, wherever it was drawn."""


class StoredFile(BaseModel):
    """A file of a model; formats before 2 had no sizes."""

    model_config = ConfigDict(frozen=True)

    file: str = ""
    sha256: str = ""
    size: int = 0


class StoredModel(StoredFile):
    name: str = ""
    family: str = ""
    variant: str = ""


class StoredAdapter(StoredFile):
    name: str = ""


class Story(BaseModel):
    """What a picture remembers.

    Attributes:
        request: As stored: not yet checked.
        seed: Of this picture; the request's is that of the first.
        models: Those of the passes after the first, in their order.
        inputs: The pictures that it was made from, by request field.
    """

    model_config = ConfigDict(frozen=True)

    format: int
    request: dict[str, Any]
    seed: int
    variation_seed: int | None = None
    model: StoredModel = StoredModel()
    parts: dict[str, tuple[StoredFile, ...]] = Field(default_factory=dict)
    models: tuple[StoredModel, ...] = ()
    adapters: tuple[StoredAdapter, ...] = ()
    inputs: dict[str, StoredFile] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)
    device: str = ""
    versions: dict[str, Any] = Field(default_factory=dict)

    @property
    def surroundings(self) -> dict[str, Any]:
        """The environment, in format 1 as far as it was noted."""
        if self.format > 1:
            return self.environment
        return {"device": self.device, **self.versions}


def parse_story(text: str) -> Story:
    """Read the chunk's text.

    Raises:
        BadInput: it is no such JSON, or of a format that a later version writes.
    """
    try:
        found = json.loads(text)
        number = found["format"]
        if isinstance(number, int) and number > FORMAT:
            raise BadInput(
                "The picture's story was written by a later version of Sfumato.",
                why=f"Its format is {number}; this version reads up to {FORMAT}.",
                hint="Update Sfumato.",
            )
        return Story.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        why = f"'{'.'.join(map(str, first['loc']))}': {first['msg']}."
        raise BadInput("The picture's story cannot be read.", why=why) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = "It is not the JSON that Sfumato writes."
        raise BadInput("The picture's story cannot be read.", why=why) from error


def request_of(story: Story) -> tuple[GenerationRequest, list[str]]:
    """The request for this one picture, and which fields of it this version does not know.

    Raises:
        BadInput: a field has a value that it cannot have.
    """
    known = {name: value for name, value in story.request.items() if name in GenerationRequest.model_fields}
    unknown = [f"{name}: {value}" for name, value in story.request.items() if name not in known]
    seeds: dict[str, Any] = {"seed": story.seed}
    if story.variation_seed is not None:
        seeds["variation_seed"] = story.variation_seed
    try:
        return GenerationRequest.model_validate({**known, **_ALONE, **seeds}), unknown
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise BadInput("The picture's story asks for what cannot be.", why=f"{problems}.") from error


def models_of(story: Story, request: GenerationRequest) -> Iterator[tuple[str, str, StoredModel]]:
    """Request field, name there, and file of each model that the request names."""
    yield "model", request.model or "", story.model
    further = story.models or (StoredModel(),)
    if request.hires and request.hires.model:
        yield "hires.model", request.hires.model, further[0]
    if request.refiner:
        yield "refiner.model", request.refiner.model, further[-1]
