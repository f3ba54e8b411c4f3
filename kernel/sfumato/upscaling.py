"""What enlarges and mends finished pictures: upscalers and face restorers.

An upscaler is registered for itself, or stands for all files of a folder below the model folders
(`UpscalerInfo.files`): each file is then an upscaler by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfumato.errors import UnknownName
from sfumato.events import CancelToken
from sfumato.records import ImageRecord
from sfumato.registry import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.library import ModelLibrary
    from sfumato.registries import Registries

OnTile = Callable[[int, int], None]
"""Told tiles done and tiles in all."""


class UpscalerInfo(BaseModel):
    """An upscaler as registered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str
    works_on: Literal["pixels", "latents"] = "pixels"
    aliases: tuple[str, ...] = ()
    summary: str = ""
    files: str = Field(
        default="", description="The kind of folder whose files it reads, each an upscaler of its own."
    )
    file_aliases: dict[str, tuple[str, ...]] = Field(
        default={},
        description="Labels that files are known by, each with the stems that such a file may have.",
    )

    def file_label(self, path: Path) -> str:
        """What people call a file that it reads; its stem, where nothing else is known."""
        stem = _plain(path.stem)
        known = (label for label, stems in self.file_aliases.items() if stem in map(_plain, stems))
        return next(known, path.stem)


class FaceRestorerInfo(BaseModel):
    """A face restorer as registered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True)
class UpscaleContext:
    """What an upscaler is told besides the picture.

    Attributes:
        device: A torch device name.
        workspace: Kept from one picture to the next (loaded upscaler models).
        settings: The value tree of the settings in force.
        path: The upscaler's file; None for one that needs none.
    """

    device: str = "cpu"
    workspace: dict[str, Any] = field(default_factory=dict)
    settings: Any = None
    path: Path | None = None
    on_tile: OnTile = lambda done, total: None
    cancel: CancelToken = field(default_factory=CancelToken)


class Upscaler(Protocol):
    """Enlarges, or comes to a size near by first enlarging and then shrinking."""

    def __call__(self, picture: Tensor, width: int, height: int, context: UpscaleContext) -> Tensor:
        """Bring pixels [b, 3, h, w] in 0..1, or latents [b, c, h, w], to that size.

        Width and height are those of the tensor to return: of latents, in latents.
        """
        ...


class FaceRestorer(Protocol):
    """Mends the faces of one picture."""

    def __call__(self, pixels: Tensor, options: Mapping[str, Any], context: UpscaleContext) -> Tensor:
        """Pixels uint8 [h, w, 3] to the same shape."""
        ...


class SkippedPicture(BaseModel):
    """A picture of a batch that could not be enlarged, while the others were."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    path: Path
    reason: str


class UpscaleResult(BaseModel):
    """What the task "upscale" made of a `sfumato.request.UpscaleRequest`."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    images: tuple[ImageRecord, ...]
    skipped: tuple[SkippedPicture, ...] = ()
    seconds: float = Field(ge=0, description="Wall time of all.")


@dataclass(frozen=True)
class FoundUpscaler:
    """An upscaler ready to be called by name; `path` is its file, None where it needs none."""

    entry: Entry[UpscalerInfo]
    label: str
    path: Path | None = None

    @property
    def name(self) -> str:
        """What finds it again."""
        return self.path.stem if self.path else self.entry.info.name


def all_upscalers(registries: Registries, library: ModelLibrary) -> list[FoundUpscaler]:
    """Those registered for themselves, then one for each file."""
    plain = [FoundUpscaler(entry, entry.info.label) for entry in registries.upscalers if not entry.info.files]
    return plain + [
        FoundUpscaler(entry, entry.info.file_label(path), path)
        for entry in registries.upscalers
        if entry.info.files
        for path in library.files(entry.info.files)
    ]


def find_upscaler(name: str, registries: Registries, library: ModelLibrary) -> FoundUpscaler:
    """The upscaler of that name, alias or file; raises `UnknownName`."""
    if name in registries.upscalers and not registries.upscalers.get(name).info.files:
        entry = registries.upscalers.get(name)
        return FoundUpscaler(entry, entry.info.label)
    found = all_upscalers(registries, library)
    wanted = _plain(name)
    for upscaler in found:
        path = upscaler.path
        if path and wanted in map(_plain, (path.stem, path.name, upscaler.label)):
            return upscaler
    raise UnknownName(
        "upscaler", name, [upscaler.label for upscaler in found], hint="'sfumato upscalers' lists them."
    )


def _plain(name: str) -> str:
    return name.replace(" ", "").lower()
