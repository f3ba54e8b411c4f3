"""What stands on a sheet where no picture is: the reason why."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sfumato_pictures.fonts import font_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAPER, INK = "#eeeeee", "#aa0000"
_LEAST_FONT, _FONT_SHARE = 8, 30
_LONGEST = 400


def empty_tile(size: tuple[int, int], reason: str) -> NDArray[np.uint8]:
    """A grey tile with the reason written on it, as far as it fits; uint8 [h, w, 3].

    Args:
        size: Width and height.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    image = Image.new("RGB", size, PAPER)
    text = " ".join(reason[:_LONGEST].split())
    font, written = font_for(text, max(_LEAST_FONT, size[0] // _FONT_SHARE))
    letter = font.getlength("n") or 1
    lines = textwrap.wrap(written, max(4, int((size[0] - 4) / letter)))
    draw = ImageDraw.Draw(image)
    draw.multiline_text((2, 2), "\n".join(lines), INK, font)
    return np.asarray(image)
