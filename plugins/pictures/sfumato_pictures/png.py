"""PNG files that carry their story in text chunks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from sfumato.text import writable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

COMPRESSION = 4
"""Of 1-9: half the time of the library's default of 6 for files about 2 % larger."""


def encode_png(pixels: ArrayLike, texts: dict[str, str], *, compression: int = COMPRESSION) -> bytes:
    """A PNG file in memory.

    Args:
        pixels: uint8 [h, w, 3], or 4 with alpha; an array, or a tensor on the CPU.
        texts: Chunks by keyword: tEXt, or iTXt where the text is not Latin-1.
        compression: 1 (quick) to 9 (small).
    """
    import numpy as np
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword, writable(text))
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(file, "PNG", pnginfo=chunks, compress_level=compression)
    return file.getvalue()
