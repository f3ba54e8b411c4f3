"""Picture files as they come from anyone: opened with limits, their texts and pixels taken out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import BadInput
from sfumato_pictures.png import PARAMETERS, STORY

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP")
LOSSY = ("JPEG", "WEBP")

LONGEST_TEXT = 2**20
"""Characters of one text. A prompt has some hundreds."""

_EXIF_FOLDER = 0x8769
_USER_COMMENT = 0x9286
_CHARSET_LENGTH = 8


@dataclass(frozen=True)
class Picture:
    """A picture read whole.

    Attributes:
        format: "PNG", "JPEG" or "WEBP".
        pixels: RGB.
        story: The text of our chunk, empty when there is none.
        parameters: The A1111 infotext, empty when there is none.
    """

    path: Path
    format: str
    pixels: Image
    story: str
    parameters: str


def read_picture(path: Path) -> Picture:
    """Read a picture with its texts.

    Raises:
        BadInput: there is no such file, it is no picture of these formats, it is damaged or cut off, or
            it or a text in it is too large.
    """
    with _explained(path):
        if not path.is_file():  # reading a pipe or a device may never end
            raise BadInput(f"There is no picture '{path}'.", hint="Check the path.")
        from PIL import Image

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures (twice as large is an error) and odd metadata
            with Image.open(path, formats=FORMATS) as image:
                image.load()  # a PNG may hold texts behind its pixels
                texts = image.text if image.format == "PNG" else {}  # type: ignore[attr-defined]
                parameters = texts.get(PARAMETERS) or _user_comment(image)
                pixels = image.convert("RGB")
                found = Picture(path, str(image.format), pixels, texts.get(STORY, ""), parameters)
    for text in (found.story, found.parameters):
        if len(text) > LONGEST_TEXT:
            raise BadInput(
                f"The text in '{path.name}' is too long.", why=f"It has over {LONGEST_TEXT} characters."
            )
    return found


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns whatever a decoder raises into an error for people: damaged files bring out anything."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except BadInput:
        raise
    except UnidentifiedImageError as error:
        why = f"It is none of {', '.join(FORMATS)}."
        raise BadInput(f"'{path.name}' is no picture that can be read.", why=why) from error
    except Image.DecompressionBombError as error:
        raise BadInput(f"'{path.name}' is too large to be read.", why=f"{error}") from error
    except OSError as error:
        reason = f"{error.strerror or error}".rstrip(".")
        raise BadInput(f"'{path.name}' cannot be read.", why=f"{reason}.") from error
    except (MemoryError, RecursionError):
        raise BadInput(f"'{path.name}' is too large to be read.") from None
    except Exception as error:
        why = f"{type(error).__name__}: {error}."
        raise BadInput(f"'{path.name}' is damaged.", why=why, hint="Get the picture again.") from error


def _user_comment(image: Image) -> str:
    """The EXIF field in which A1111 keeps the text of files other than PNG."""
    try:
        comment: Any = image.getexif().get_ifd(_EXIF_FOLDER).get(_USER_COMMENT, b"")
    except Exception:  # a broken EXIF block leaves a picture without a text
        return ""
    return comment if isinstance(comment, str) else decoded_comment(bytes(comment or b""))


def decoded_comment(comment: bytes) -> str:
    """An EXIF UserComment: eight bytes name the character set, then comes the text.

    "UNICODE" is UTF-16 in either byte order, as writers please; most text is Latin, whose high bytes are 0.
    """
    charset, text = comment[:_CHARSET_LENGTH].rstrip(b"\0 "), comment[_CHARSET_LENGTH:]
    if charset == b"UNICODE":
        order = "utf-16-be" if text[::2].count(0) >= text[1::2].count(0) else "utf-16-le"
        return text.decode(order, "replace").lstrip("\ufeff").rstrip("\0")
    if charset in (b"", b"ASCII"):
        return text.decode("utf-8", "replace").rstrip("\0")
    return comment.decode("utf-8", "replace")
