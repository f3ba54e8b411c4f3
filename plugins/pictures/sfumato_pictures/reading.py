"""Picture files as they come from anyone: opened with limits, turned upright, in eight bits of RGB."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import BadInput
from sfumato_pictures.metadata import Metadata, metadata_of, png_texts, tells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
"""What is read, whatever the file is called: none of these runs a program, as EPS would."""
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff")

LARGEST_MEGAPIXELS = 178
"""Pillow refuses more; a picture of that size takes half a GB."""
WHITE = "#ffffff"

Source = Path | str | bytes

_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)
"""Orientations in EXIF that swap width and height."""
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture read whole and turned upright.

    Attributes:
        colours: RGB, as they are stored, also where nothing of them is seen.
        opacity: L, 255 where it is opaque; None where all of it is.
        format: As Pillow names it: "PNG", "JPEG", "MPO" ...
        path: None when it came from memory.
        background: What transparent parts are laid on, as #rrggbb.
    """

    colours: Image
    opacity: Image | None
    format: str
    metadata: Metadata = field(default_factory=Metadata)
    path: Path | None = None
    background: str = WHITE

    @property
    def name(self) -> str:
        return "picture" if self.path is None else self.path.name

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.colours.size

    @property
    def image(self) -> Image:
        """RGB, transparent parts laid on the background."""
        from PIL import Image as images

        if self.opacity is None:
            return self.colours
        return images.composite(self.colours, images.new("RGB", self.size, self.background), self.opacity)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The same as uint8 [h, w, 3]; a copy that can be written to."""
        import numpy as np

        return np.array(self.image)

    @property
    def alpha(self) -> NDArray[np.uint8] | None:
        """uint8 [h, w], 255 where it is opaque; None where all of it is."""
        import numpy as np

        return None if self.opacity is None else np.array(self.opacity)


def read_picture(
    source: Source, *, background: str = WHITE, largest_megapixels: float = LARGEST_MEGAPIXELS
) -> Picture:
    """Read a picture of any kind: the first frame of an animation, 16 bits brought to 8, turned upright.

    Args:
        source: A file, or the content of one.
        background: What transparent parts are laid on, as #rrggbb.

    Raises:
        BadInput: there is no such file, it is no picture of these formats, it is damaged or cut off, or
            it is too large.
    """
    with _opened(source, largest_megapixels) as image:
        image.load()
        name, metadata = str(image.format), metadata_of(image)
        colours, opacity = _channels(_upright(image))
    path = None if isinstance(source, bytes) else Path(source)
    return Picture(colours, opacity, name, metadata, path, background)


def read_mask(source: Source, *, largest_megapixels: float = LARGEST_MEGAPIXELS) -> NDArray[np.uint8]:
    """A mask, uint8 [h, w]: 255 is painted anew, 0 kept.

    As in A1111, a picture that is transparent somewhere masks what is opaque in it, and any other one what is
    bright.

    Raises:
        BadInput: as `read_picture`.
    """
    import numpy as np

    picture = read_picture(source, largest_megapixels=largest_megapixels)
    return np.array(picture.colours.convert("L") if picture.opacity is None else picture.opacity)


def read_size(source: Source, *, largest_megapixels: float = LARGEST_MEGAPIXELS) -> tuple[int, int]:
    """Width and height of a picture once it is turned upright; its pixels are not read.

    Raises:
        BadInput: as `read_picture`, as far as the beginning of the file tells.
    """
    with _opened(source, largest_megapixels) as image:
        width, height = image.size
        try:
            lies = image.getexif().get(_ORIENTATION) in _LYING
        except Exception:  # broken EXIF says nothing
            lies = False
    return (height, width) if lies else (width, height)


def read_metadata(source: Source) -> Metadata:
    """The texts in a picture; its pixels are read only where a PNG may keep texts behind them.

    Raises:
        BadInput: as `read_picture`, as far as was read.
    """
    with _opened(source, LARGEST_MEGAPIXELS) as image:
        if image.format == "PNG" and not tells(png_texts(image)):
            image.load()
        return metadata_of(image)


@contextmanager
def _opened(source: Source, largest_megapixels: float) -> Iterator[Image]:
    """The picture at its first frame; whatever a decoder raises comes out as an error for people."""
    from PIL import Image

    with _explained(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures, which are judged below, and odd metadata
        file = io.BytesIO(source) if isinstance(source, bytes) else _existing(Path(source))
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image.size, source, largest_megapixels)
            yield image


def _existing(path: Path) -> Path:
    if not path.is_file():  # reading a pipe or a device may never end
        raise BadInput(f"There is no picture '{path}'.", hint="Check the path.")
    return path


def _check_size(size: tuple[int, int], source: Source, largest_megapixels: float) -> None:
    """Before anything is decoded: a few bytes may promise more pixels than any memory holds."""
    width, height = size
    if width * height > largest_megapixels * 1e6:
        raise BadInput(
            f"{_called(source)} is too large to be read.",
            why=f"It has {width}x{height} pixels; the limit is at {largest_megapixels:g} million of them.",
            hint="Make it smaller in an image editor; the limit is saving.largest_megapixels.",
        )


def _upright(image: Image) -> Image:
    """Turned as its EXIF tells; the tag may be broken, like all that cameras and strangers write."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _channels(image: Image) -> tuple[Image, Image | None]:
    """RGB, and the alpha channel unless it is 255 everywhere."""
    image = _eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB"), None
    image = image.convert("RGBA")
    alpha: Image = image.getchannel("A")
    return image.convert("RGB"), None if alpha.getextrema() == (255, 255) else alpha


def _eight_bits(image: Image) -> Image:
    """Greys of 16 or 32 bits and floats as 8: their plain conversion clips, and would make them white."""
    import numpy as np
    from PIL import Image as images

    if image.mode not in (*_SIXTEEN_BITS, "I", "F"):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    scale = 255 / max(values.max(initial=0), 65535)
    if image.mode == "F":
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
    return images.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Turns whatever a decoder raises into an error for people: damaged files bring out anything."""
    from PIL import Image, UnidentifiedImageError

    name = _called(source)
    try:
        yield
    except BadInput:
        raise
    except UnidentifiedImageError as error:
        why = "It is empty." if _is_empty(source) else f"It is none of {', '.join(FORMATS)}."
        raise BadInput(f"{name} is no picture that can be read.", why=why) from error
    except Image.DecompressionBombError as error:
        raise BadInput(f"{name} is too large to be read.", why=f"{error}") from error
    except OSError as error:
        reason = f"{error.strerror or error}".rstrip(".")
        raise BadInput(f"{name} cannot be read.", why=f"{reason}.") from error
    except (MemoryError, RecursionError):
        raise BadInput(f"{name} is too large to be read.") from None
    except Exception as error:
        why = f"{type(error).__name__}: {error}."
        raise BadInput(f"{name} is damaged.", why=why, hint="Get the picture again.") from error


def _is_empty(source: Any) -> bool:
    return (len(source) if isinstance(source, bytes) else Path(source).stat().st_size) == 0


def _called(source: Source) -> str:
    return "The picture" if isinstance(source, bytes) else f"'{Path(source).name}'"
