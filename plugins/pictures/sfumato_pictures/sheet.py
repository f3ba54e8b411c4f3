"""Many pictures on one: contact sheets by A1111's rule, and sheets with legends, for grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.errors import BadInput
from sfumato_pictures.fonts import font_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

LARGEST_MEGAPIXELS = 200
"""A sheet of that size takes 600 MB while it is drawn."""

PAPER, INK = "#ffffff", "#000000"
_LEAST_FONT, _FONT_SHARE = 12, 25
"""The font is a share of the pictures' width, and never smaller than can be read."""
_LONGEST_LABEL = 2000


@dataclass(frozen=True)
class Legends:
    """What stands beside the pictures of a sheet; an empty text is none.

    Attributes:
        columns: One for each column, above it; or none at all.
        rows: One for each row, left of it; or none at all.
        title: Above everything.
        font: A font file; else `fonts.font_for` finds one.
    """

    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    title: str = ""
    font: str = ""


def rows_for(count: int, *, batch_size: int = 1, rows: int = -1, no_gaps: bool = False) -> int:
    """Rows of a contact sheet as A1111 chooses them.

    Args:
        count: Pictures.
        rows: That many; 0 as many as a batch has pictures; -1 a sheet as square as can be.
        no_gaps: Where rows is -1, the most square sheet that leaves no place empty.
    """
    if rows > 0:
        wanted = rows
    elif rows == 0:
        wanted = batch_size
    elif no_gaps:
        wanted = next(n for n in range(math.isqrt(max(count, 1)), 0, -1) if count % n == 0)
    else:
        wanted = round(math.sqrt(count))
    return max(1, min(wanted, count))


def contact_sheet(
    pictures: Sequence[ArrayLike | None],
    *,
    rows: int,
    background: str = INK,
    largest_megapixels: float = LARGEST_MEGAPIXELS,
) -> NDArray[np.uint8]:
    """Pictures row by row, each in the middle of its place; the places are as large as the largest picture.

    Args:
        pictures: uint8 [h, w, 3] each, an array or a tensor on the CPU; None leaves its place empty.

    Returns:
        uint8 [h, w, 3].

    Raises:
        BadInput: there is no picture, or the sheet would be too large.
    """
    return labelled_sheet(
        pictures,
        columns=math.ceil(len(pictures) / rows),
        background=background,
        largest_megapixels=largest_megapixels,
    )


def labelled_sheet(
    pictures: Sequence[ArrayLike | None],
    *,
    columns: int,
    legends: Legends | None = None,
    margin: int = 0,
    background: str = PAPER,
    largest_megapixels: float = LARGEST_MEGAPIXELS,
) -> NDArray[np.uint8]:
    """A sheet as `contact_sheet`, with legends wrapped at word ends.

    Args:
        columns: Pictures in a row.
        margin: Pixels between pictures.

    Raises:
        BadInput: there is no picture, or the sheet would be too large.
    """
    import numpy as np
    from PIL import Image

    tiles = [None if each is None else Image.fromarray(np.asarray(each)) for each in pictures]
    sizes = [tile.size for tile in tiles if tile]
    if not sizes:
        raise BadInput("There is no picture for the sheet.")
    tile_size = max(width for width, _ in sizes), max(height for _, height in sizes)
    sheet = _Layout(tile_size, columns, math.ceil(len(tiles) / columns), margin, legends or Legends())
    check_size(*sheet.size, largest_megapixels)
    image = Image.new("RGB", sheet.size, background)
    for number, tile in enumerate(tiles):
        if tile:
            image.paste(tile, sheet.place(number, tile.size))
    sheet.draw_legends(image)
    return np.asarray(image)


def check_size(width: int, height: int, largest_megapixels: float) -> None:
    """Raises `BadInput` when a sheet of so many pixels would be too large."""
    if width * height > largest_megapixels * 1e6:
        raise BadInput(
            "The sheet of all pictures would be too large.",
            why=f"It would have {width}x{height} pixels; the limit is at {largest_megapixels:g} million.",
            hint="Take fewer or smaller pictures, or raise saving.grid_megapixels; "
            "the pictures themselves are kept.",
        )


class _Layout:
    """Where everything stands on a sheet, in pixels."""

    def __init__(self, tile: tuple[int, int], columns: int, rows: int, margin: int, legends: Legends) -> None:
        from PIL import Image, ImageDraw

        self._tile, self._columns, self._rows, self._margin = tile, columns, rows, margin
        self._ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
        size = max(_LEAST_FONT, tile[0] // _FONT_SHARE)
        texts = [_printable(text) for text in (legends.title, *legends.columns, *legends.rows)]
        self._font, written = font_for("\n".join(texts), size, legends.font)
        title, *labels = written.split("\n")
        self._gap = size
        row_width = max(tile[0] * 3 // 4, 4 * size)
        self._row_labels = [self._wrapped(text, row_width) for text in labels[len(legends.columns) :]]
        self._column_labels = [self._wrapped(text, tile[0]) for text in labels[: len(legends.columns)]]
        self._left = self._padded(max((self._extent(text)[0] for text in self._row_labels), default=0))
        pictures = columns * tile[0] + (columns - 1) * margin
        self._title = self._wrapped(title, self._left + pictures - 2 * size)
        self._title_height = self._padded(self._extent(self._title)[1])
        above = max((self._extent(text)[1] for text in self._column_labels), default=0)
        self._top = self._title_height + self._padded(above)
        self.size = self._left + pictures, self._top + rows * tile[1] + (rows - 1) * margin

    def place(self, number: int, size: tuple[int, int]) -> tuple[int, int]:
        """The upper left corner of a picture of this size."""
        left, top = self._cell(number % self._columns, number // self._columns)
        return left + (self._tile[0] - size[0]) // 2, top + (self._tile[1] - size[1]) // 2

    def draw_legends(self, image: Image) -> None:
        from PIL import ImageDraw

        draw = ImageDraw.Draw(image)
        self._write(draw, self._title, (self.size[0] / 2, self._title_height / 2))
        for column, text in enumerate(self._column_labels[: self._columns]):
            middle = self._cell(column, 0)[0] + self._tile[0] / 2
            self._write(draw, text, (middle, (self._title_height + self._top) / 2))
        for row, text in enumerate(self._row_labels[: self._rows]):
            self._write(draw, text, (self._left / 2, self._cell(0, row)[1] + self._tile[1] / 2))

    def _cell(self, column: int, row: int) -> tuple[int, int]:
        width, height = self._tile
        return self._left + column * (width + self._margin), self._top + row * (height + self._margin)

    def _write(self, draw: ImageDraw, text: str, middle: tuple[float, float]) -> None:
        if text:
            draw.multiline_text(middle, text, INK, self._font, anchor="mm", align="center")

    def _padded(self, extent: int) -> int:
        return extent + self._gap if extent else 0

    def _extent(self, text: str) -> tuple[int, int]:
        if not text:
            return 0, 0
        _, top, _, bottom = self._ruler.multiline_textbbox((0, 0), text, self._font)
        return max(map(self._width, text.split("\n"))), math.ceil(bottom - min(top, 0))

    def _wrapped(self, text: str, width: int) -> str:
        """The text in lines no wider than `width`; a word that is wider is broken."""
        lines = [""]
        for word in text.split():
            for piece in self._pieces(word, width):
                longer = f"{lines[-1]} {piece}".strip()
                if self._fits(longer, width):
                    lines[-1] = longer
                else:
                    lines.append(piece)
        return "\n".join(filter(None, lines))

    def _pieces(self, word: str, width: int) -> list[str]:
        """The word, or parts of it that fit; at least a character each."""
        pieces: list[str] = []
        while word:
            length = len(word)
            while length > 1 and not self._fits(word[:length], width):
                length = max(1, min(length - 1, int(length * width / self._font.getlength(word[:length]))))
            pieces.append(word[:length])
            word = word[length:]
        return pieces

    def _fits(self, text: str, width: int) -> bool:
        return self._width(text) <= width

    def _width(self, line: str) -> int:
        left, _, right, _ = self._font.getbbox(line)  # letters may lean out of the length that they advance
        return math.ceil(right - left)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:_LONGEST_LABEL])
