"""Contact sheets of pictures on disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sfumato.errors import BadInput, SfumatoError
from sfumato_pictures.formats import PictureFormat, encode_picture
from sfumato_pictures.reading import read_picture
from sfumato_pictures.settings import SavingSettings
from sfumato_pictures.sheet import labelled_sheet, rows_for

FORMATS: dict[str, PictureFormat] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".avif": "avif",
}


def write_sheet(pictures: Sequence[Path], target: Path, columns: int, settings: SavingSettings) -> Path:
    """One sheet of picture files, in the format that the target's ending names.

    Args:
        columns: Pictures in a row; 0 for a sheet as square as can be.

    Raises:
        BadInput: the ending names no format, a picture cannot be read, or the sheet would be too large.
        SfumatoError: it cannot be written.
    """
    if target.suffix.lower() not in FORMATS:
        raise BadInput(f"'{target.name}' is no name for a picture.", hint=f"End it in {', '.join(FORMATS)}.")
    columns = columns or math.ceil(len(pictures) / rows_for(len(pictures)))
    pixels = labelled_sheet(
        [read_picture(path, largest_megapixels=settings.largest_megapixels).pixels for path in pictures],
        columns=columns,
        largest_megapixels=settings.grid_megapixels,
    )
    encoded = encode_picture(pixels, {}, format=FORMATS[target.suffix.lower()], quality=settings.quality)
    path = target.with_suffix(encoded.suffix) if encoded.warnings else target
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(encoded.content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SfumatoError(f"The sheet '{path.name}' could not be written.", why=f"{error}.") from error
    return path
