"""What clients see of the gallery, and what indexing is asked with."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def picture_id(path: Path) -> str:
    """The first 16 hex digits of the SHA-256 of the absolute path as text: the same wherever it is made."""
    return hashlib.sha256(str(path.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]


class PictureFacts(BaseModel):
    """What a picture file tells of itself and of how it was made; open where it does not tell.

    Attributes of the file (`size`, `modified`) say whether it is still the one that was read.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    size: int = Field(description="Bytes.")
    modified: float = Field(description="Seconds since 1970.")
    width: int
    height: int
    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler: str = ""
    model: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    loras: tuple[str, ...] = ()
    infotext: str = ""
    job: str = ""
    index_in_job: int | None = None


class Picture(BaseModel):
    """A picture of the gallery."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str = Field(description="Of the file.")
    folder: str = Field(description="Where the file lies.")
    url: str
    thumbnail: str
    width: int = Field(description="In pixels.")
    height: int
    size: int = Field(description="Bytes of the file.")
    created: datetime
    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler: str = ""
    model: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    loras: tuple[str, ...] = ()
    favourite: bool = False
    score: float | None = None
    job: str = Field(default="", description="The job that made it.")
    index_in_job: int | None = Field(default=None, description="Which of the job's pictures, from 0.")
    trashed: datetime | None = Field(default=None, description="When it was thrown away.")
    missing: bool = Field(default=False, description="Whether the file is gone.")


class PictureDetails(Picture):
    """A picture and all that its file tells."""

    infotext: str = ""
    source: str = Field(default="", description="'sfumato', 'a1111', 'comfyui', 'other', or empty.")
    fields: dict[str, str] = Field(default={}, description="The infotext's last line, by its keys.")
    request: dict[str, Any] | None = Field(
        default=None, description="The whole request, where the file tells it: it can be drawn again."
    )


class PicturePage(BaseModel):
    """Some pictures of a longer list."""

    items: list[Picture]
    next: str | None = Field(default=None, description="The cursor of what follows.")
    start: str | None = Field(
        default=None,
        description="The cursor of what follows the first item: with an offset, any later part of the list "
        "is reached, however many pictures come before it meanwhile.",
    )


class Shapes(BaseModel):
    """All pictures of a list, as far as laying them out needs them."""

    ratios: list[int] = Field(
        description="Width by height of each picture in the list's order, in hundredths."
    )


class PictureCount(BaseModel):
    count: int = Field(ge=0)


class PictureChange(BaseModel):
    """What people may change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    favourite: bool | None = None
    score: float | None = Field(default=None, ge=0, le=10, description="0 to 10; null takes it away.")


class Selection(BaseModel):
    """Several pictures at once."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] = Field(min_length=1, max_length=10_000)


class SelectionChange(Selection, PictureChange):
    """One change to several pictures."""


class Suggestions(BaseModel):
    """What a search may name."""

    models: list[str] = Field(description="Those of most pictures first.")
    loras: list[str] = Field(description="Those of most pictures first.")
    samplers: list[str] = []
    folders: list[str] = []


class IndexRequest(BaseModel):
    """A request to take pictures of folders into the gallery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folders: tuple[Path, ...] = Field(
        default=(),
        title="Folders",
        description="Looked through with all below them; by default the output folder and gallery.folders.",
    )


class IndexReport(BaseModel):
    """What indexing found.

    Attributes:
        skipped: Files that could not be read, with the reason; the first hundred of them.
    """

    found: int = 0
    added: int = 0
    unchanged: int = 0
    missing: int = 0
    skipped: tuple[str, ...] = ()
    skipped_total: int = 0
