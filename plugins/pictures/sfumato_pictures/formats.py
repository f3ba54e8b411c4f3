"""The formats that pictures are saved in, each with its texts and within its limits."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sfumato_pictures.metadata import STORY, exif_with
from sfumato_pictures.png import encode_png

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from PIL.Image import Image

PictureFormat = Literal["png", "jpeg", "webp", "avif"]

SUFFIXES: Mapping[PictureFormat, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "avif": ".avif"}
LABELS: Mapping[PictureFormat, str] = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP", "avif": "AVIF"}

LONGEST_SIDE: Mapping[PictureFormat, int] = {"jpeg": 65_500, "webp": 16_383, "avif": 32_768}
"""In pixels. libjpeg stops a little before the format (65535), readers of AVIF well before it."""
_AVIF_LARGEST = 16_384**2

_AVIF_SPEED = 8
"""Of 0-10: a quarter of the time of Pillow's default of 6, for files of the same size."""

_JPEG_LONGEST_EXIF = 65_533
"""A JPEG segment has a length of 16 bits, which counts itself."""


@dataclass(frozen=True)
class EncodedPicture:
    """A picture file in memory.

    Attributes:
        suffix: Of its name, with the dot.
        warnings: What could not be kept, in words.
    """

    content: bytes
    suffix: str
    warnings: tuple[str, ...] = ()


def encode_picture(
    pixels: ArrayLike,
    texts: Mapping[str, str],
    *,
    format: PictureFormat = "png",
    quality: int = 90,
    lossless: bool = False,
) -> EncodedPicture:
    """A picture file with its texts; a PNG, and a warning, where the format cannot hold so large a picture.

    Args:
        pixels: uint8 [h, w, 3], or 4 with alpha, which a JPEG lays on white.
        texts: Chunks of a PNG; of the other formats' EXIF `PARAMETERS` and `STORY`, and no other.
        quality: 1 (small) to 100, of JPEG, WebP and AVIF.
        lossless: Keep every pixel exactly; WebP only.
    """
    import numpy as np
    from PIL import Image

    array = np.asarray(pixels)
    height, width = array.shape[:2]
    if not _holds(format, width, height):
        warning = f"{LABELS[format]} holds no {width}x{height} pixels: the picture was saved as PNG."
        return EncodedPicture(encode_png(array, dict(texts)), SUFFIXES["png"], (warning,))
    if format == "png":
        return EncodedPicture(encode_png(array, dict(texts)), SUFFIXES[format])
    exif, warnings = _fitting_exif(format, texts)
    options: dict[str, Any] = {"quality": quality, "exif": exif}
    if format == "webp":
        options |= {"lossless": lossless, "exact": lossless}
    if format == "avif":
        options |= {"speed": _AVIF_SPEED}
    file = io.BytesIO()
    image = Image.fromarray(array)
    (_opaque(image) if format == "jpeg" else image).save(file, LABELS[format].upper(), **options)
    return EncodedPicture(file.getvalue(), SUFFIXES[format], warnings)


def _holds(format: PictureFormat, width: int, height: int) -> bool:
    if format == "avif" and width * height > _AVIF_LARGEST:
        return False
    return max(width, height) <= LONGEST_SIDE.get(format, max(width, height))


def _opaque(image: Image) -> Image:
    from PIL import Image as images

    if image.mode != "RGBA":
        return image
    return images.alpha_composite(images.new("RGBA", image.size, "#ffffff"), image).convert("RGB")


def _fitting_exif(format: PictureFormat, texts: Mapping[str, str]) -> tuple[bytes, tuple[str, ...]]:
    """The EXIF block; of a JPEG, what its 64 kB hold."""
    whole = exif_with(texts)
    if format != "jpeg" or len(whole) <= _JPEG_LONGEST_EXIF:
        return whole, ()
    shorter = exif_with({key: text for key, text in texts.items() if key != STORY})
    if len(shorter) <= _JPEG_LONGEST_EXIF:
        return shorter, ("A JPEG holds 64 kB of texts: the picture was saved without its story in JSON.",)
    return b"", ("A JPEG holds 64 kB of texts: the picture was saved without them.",)
