"""Pictures as they are sent back: whole files in base64, in the format that the options ask for."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato_api_a1111 import overrides
from sfumato_api_a1111.errors import failure

if TYPE_CHECKING:
    from sfumato_pictures.formats import PictureFormat

_FORMATS: Mapping[str, PictureFormat] = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "webp": (".webp",),
}
_MODEL_HASH = "Model hash"


def picture_format(options: Mapping[str, Any]) -> PictureFormat:
    """Raises `Refusal` for a format that A1111 does not have."""
    name = overrides.text(options, "samples_format").lower()
    if name == "avif":  # of our settings; no client of A1111 would know what to do with it
        return "png"
    if name not in _FORMATS:
        raise failure("Invalid image format")
    return _FORMATS[name]


def shown_infotext(text: str, options: Mapping[str, Any]) -> str:
    """Without the model's hash where the options say so."""
    if options.get("add_model_hash_to_info", True) or not text:
        return text
    from sfumato_pictures import infotext

    read = infotext.read(text)
    kept = {key: value for key, value in read.fields.items() if key != _MODEL_HASH}
    return infotext.write(read.prompt, read.negative_prompt, kept)


def encoded(path: Path, text: str, options: Mapping[str, Any]) -> str:
    """A saved picture in base64; the file as it is, where that is what the options ask for."""
    format = picture_format(options)
    keeps_text = bool(options.get("enable_pnginfo", True))
    shown = shown_infotext(text, options) if keeps_text else ""
    if path.suffix.lower() in _SUFFIXES[format] and shown == text:
        content = path.read_bytes()
    else:
        content = _encoded_anew(path, shown, format, options)
    return base64.b64encode(content).decode("ascii")


def _encoded_anew(path: Path, text: str, format: PictureFormat, options: Mapping[str, Any]) -> bytes:
    from sfumato_pictures.formats import encode_picture
    from sfumato_pictures.metadata import PARAMETERS
    from sfumato_pictures.reading import read_picture

    quality = min(max(overrides.whole(options, "jpeg_quality", 80), 1), 100)
    picture = encode_picture(
        read_picture(path).pixels,
        {PARAMETERS: text} if text else {},
        format=format,
        quality=quality,
        lossless=overrides.flag(options, "webp_lossless"),
    )
    return picture.content


def encoded_grid(paths: list[Path], text: str, batch_size: int, options: Mapping[str, Any]) -> bytes:
    """All pictures on one, as A1111's grids are, as a file."""
    from sfumato_pictures.formats import encode_picture
    from sfumato_pictures.metadata import PARAMETERS
    from sfumato_pictures.reading import read_picture
    from sfumato_pictures.sheet import contact_sheet, rows_for

    rows = rows_for(
        len(paths),
        batch_size=batch_size,
        rows=overrides.whole(options, "n_rows", -1),
        no_gaps=overrides.flag(options, "grid_prevent_empty_spots"),
    )
    pixels = contact_sheet([read_picture(path).pixels for path in paths], rows=rows)
    texts = {PARAMETERS: text} if options.get("enable_pnginfo", True) and text else {}
    return encode_picture(pixels, texts, format=picture_format(options)).content
