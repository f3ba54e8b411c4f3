"""To which size pictures are brought, and what is cut off."""

from __future__ import annotations

from sfumato.errors import BadInput
from sfumato.request import UpscaleRequest
from sfumato_pictures.reading import LARGEST_MEGAPIXELS


def enlarged_size(width: int, height: int, request: UpscaleRequest) -> tuple[int, int]:
    """Width and height that a picture is brought to before anything is cut off.

    Its proportions stay. Where both sides are asked for, it covers them; where one is, the other follows.

    Raises:
        BadInput: it would be so large that it could not be read again.
    """
    factors = [wanted / side for wanted, side in ((request.width, width), (request.height, height)) if wanted]
    factor = max(factors) if factors else request.scale
    found = max(round(width * factor), 1), max(round(height * factor), 1)
    if found[0] * found[1] > LARGEST_MEGAPIXELS * 1e6:
        raise BadInput(
            f"{found[0]}x{found[1]} pixels are too many.",
            why=f"The limit is at {LARGEST_MEGAPIXELS} million.",
            hint="Lower --scale, or give --width or --height.",
        )
    return found


def crop_window(width: int, height: int, request: UpscaleRequest) -> tuple[slice, slice]:
    """The rows and columns that are kept: those in the middle where a whole size is asked for, else all."""
    if not (request.crop and request.width and request.height):
        return slice(0, height), slice(0, width)
    kept_width, kept_height = min(request.width, width), min(request.height, height)
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return slice(top, top + kept_height), slice(left, left + kept_width)
