"""A font that can write a text: Pillow's own, else one of those that systems bring.

Pillow's own has plain Latin letters and little more, but it is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf",
    "Arial Unicode.ttf", "Hiragino Sans GB.ttc", "Arial.ttf",
    "msgothic.ttc", "msyh.ttc", "malgun.ttf", "segoeui.ttf",
)  # fmt: skip
"""Of Linux, macOS and Windows; Pillow looks for them where each system keeps its fonts."""

_NO_CHARACTER = "\uffff"


def font_for(text: str, size: int, named: str = "") -> tuple[FreeTypeFont, str]:
    """The first font that has every character of the text, and the text as it can be written.

    Where none has them all, the one with the most, and for the rest letters without their marks, or "?".

    Args:
        size: In pixels.
        named: A font file to be tried first; one that cannot be read is passed over.
    """
    needed = {character for character in normalize("NFC", text) if not character.isspace()}
    best: tuple[FreeTypeFont, set[str]] | None = None
    for font in _candidates(size, named):
        missing = _missing(font, needed)
        if best is None or len(missing) < len(best[1]):
            best = font, missing
        if not missing:
            break
    assert best is not None  # Pillow's own font is always there
    font, missing = best
    return font, "".join(_substitute(font, c) if c in missing else c for c in normalize("NFC", text))


def _candidates(size: int, named: str) -> Iterator[FreeTypeFont]:
    from PIL import ImageFont

    if named:
        yield from _opened(named, size)
    yield ImageFont.load_default(size)  # type: ignore[misc]  # not the bitmap one: a size is given
    for name in SYSTEM_FONTS:
        yield from _opened(name, size)


def _opened(name: str, size: int) -> Iterator[FreeTypeFont]:
    from PIL import ImageFont

    try:
        yield ImageFont.truetype(name, size)
    except OSError:
        return


def _missing(font: FreeTypeFont, characters: set[str]) -> set[str]:
    """Those that the font draws as the box for no character."""
    box = bytes(font.getmask(_NO_CHARACTER))
    return {character for character in characters if bytes(font.getmask(character)) == box}


def _substitute(font: FreeTypeFont, character: str) -> str:
    plain = "".join(piece for piece in normalize("NFKD", character) if not combining(piece))
    return plain if plain and not _missing(font, set(plain)) else "?"
