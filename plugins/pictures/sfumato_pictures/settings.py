"""How pictures are saved and read."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sfumato_pictures.file_names import check_pattern
from sfumato_pictures.formats import PictureFormat
from sfumato_pictures.reading import LARGEST_MEGAPIXELS


class SavingSettings(BaseModel):
    """Formats and names of pictures, and where styles are kept."""

    model_config = ConfigDict(frozen=True)

    format: PictureFormat = Field(
        default="png",
        title="Format",
        description="'png' keeps every pixel; 'jpeg', 'webp' and 'avif' are smaller. All carry the infotext.",
    )
    quality: int = Field(
        default=90, ge=1, le=100, title="Quality", description="Of JPEG, WebP and AVIF: 1 small, 100 best."
    )
    webp_lossless: bool = Field(
        default=False, title="Lossless WebP", description="Keep every pixel in WebP pictures."
    )
    file_name: str = Field(
        default="[seed]",
        title="File name",
        description="Pattern of file names, as in A1111: [seed], [model_name], [prompt_words], "
        "[datetime<%Y-%m-%d>] ...; {seed} gives the same in letters, numbers and hyphens alone.",
    )
    number_files: bool = Field(
        default=True, title="Number files", description="Begin file names with a running number."
    )
    folder_name: str = Field(
        default="",
        title="Folder name",
        description="Pattern of folders in the output folder, such as [date] or [model_name]/[date]; "
        "empty for none.",
    )
    save_contact_sheets: bool = Field(
        default=False,
        title="Save contact sheets",
        description="Save a sheet of all pictures of a request that makes several, as A1111's grids are.",
    )
    save_grids: bool = Field(
        default=True, title="Save grids", description="Save the sheets of grids beside their pictures."
    )
    grid_format: PictureFormat = Field(default="png", title="Grid format", description="Format of sheets.")
    grid_megapixels: int = Field(
        default=200,
        ge=1,
        le=10_000,
        title="Largest grid",
        description="Millions of pixels that a sheet may have.",
    )
    grid_font: str = Field(
        default="",
        title="Grid font",
        description="Font file for the legends of sheets; empty for one that has their letters.",
        json_schema_extra={"guarded": True},  # it names a file
    )
    largest_megapixels: int = Field(
        default=LARGEST_MEGAPIXELS,
        ge=1,
        le=LARGEST_MEGAPIXELS,
        title="Largest picture",
        description="Millions of pixels that a picture may have to be read.",
    )
    styles_files: tuple[Path, ...] = Field(
        default=(),
        title="Styles files",
        description="A1111's styles.csv, or several, * and ? in their names; the first one is written to. "
        "Empty for the user's own.",
    )

    @field_validator("file_name", "folder_name")
    @classmethod
    def _known_placeholders(cls, pattern: str) -> str:
        return check_pattern(pattern)

    @field_validator("styles_files")
    @classmethod
    def _at_home(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser() for path in paths)
