"""Which picture sizes a model can draw."""

from __future__ import annotations

from sfumato.errors import BadInput


def check_size(width: int, height: int, multiple: int) -> None:
    """Raises `BadInput`, naming the nearest good sizes, unless both sides are a `multiple` of pixels."""
    wrong = [
        f"{name} {near_multiples(side, multiple)}"
        for name, side in (("width", width), ("height", height))
        if side % multiple
    ]
    if wrong:
        raise BadInput(
            f"This model cannot draw {width}x{height}.",
            why=f"Width and height must be multiples of {multiple}.",
            hint=f"Nearest: {', '.join(wrong)}.",
        )


def near_multiples(side: int, multiple: int) -> str:
    """The good sides around a bad one: "96 or 112"."""
    below = side // multiple * multiple
    return " or ".join(str(good) for good in (below, below + multiple) if good)
