"""Pictures saved in each format: the pixels, the texts, the limits."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from sfumato_pictures.formats import LONGEST_SIDE, SUFFIXES, PictureFormat, encode_picture
from sfumato_pictures.metadata import PARAMETERS, STORY, exif_with
from sfumato_pictures.reading import read_metadata, read_picture

PIXELS = np.random.default_rng(0).integers(0, 255, (24, 40, 4), dtype=np.uint8)
TEXTS = {PARAMETERS: "ein Käfer, 低 🍎\nSteps: 4, Seed: 1, Size: 40x24", STORY: '{"format": 2}'}

each_format = pytest.mark.parametrize("format", SUFFIXES)
EXIF_FORMATS: tuple[PictureFormat, ...] = ("jpeg", "webp", "avif")


@each_format
@pytest.mark.parametrize("channels", [3, 4])
def test_every_format_keeps_size_and_texts(format: PictureFormat, channels: int) -> None:
    encoded = encode_picture(PIXELS[..., :channels], TEXTS, format=format)
    picture = read_picture(encoded.content)
    assert (picture.size, encoded.suffix, encoded.warnings) == ((40, 24), SUFFIXES[format], ())
    assert (picture.metadata.parameters, picture.metadata.story) == (TEXTS[PARAMETERS], TEXTS[STORY])
    assert picture.metadata.source == "sfumato"
    assert (picture.alpha is not None) == (channels == 4 and format != "jpeg")


@each_format
def test_a_picture_without_texts_has_none(format: PictureFormat) -> None:
    assert read_metadata(encode_picture(PIXELS[..., :3], {}, format=format).content).source == ""


@pytest.mark.parametrize("format", EXIF_FORMATS)
def test_a_higher_quality_is_nearer_to_the_picture(format: PictureFormat) -> None:
    smooth = np.linspace(0, 255, 64, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(smooth[:, None], smooth[None], smooth[::-1, None]), axis=-1)
    errors = []
    for quality in (10, 95):
        read = read_picture(encode_picture(pixels, {}, format=format, quality=quality).content)
        errors.append(np.abs(read.pixels.astype(int) - pixels).mean())
    assert errors[1] < errors[0]
    assert errors[1] < 3


def test_lossless_webp_keeps_every_pixel_even_where_it_is_transparent() -> None:
    encoded = encode_picture(PIXELS, {}, format="webp", lossless=True)
    picture = read_picture(encoded.content)
    assert picture.opacity is not None
    assert np.array_equal(np.dstack([picture.colours, picture.opacity]), PIXELS)


def test_a_jpeg_lays_transparent_parts_on_white() -> None:
    clear = np.zeros((8, 8, 4), dtype=np.uint8)
    assert read_picture(encode_picture(clear, {}, format="jpeg").content).pixels.min() > 250


@pytest.mark.parametrize("format", LONGEST_SIDE)
def test_what_is_too_large_for_a_format_becomes_a_png(format: PictureFormat) -> None:
    longest = LONGEST_SIDE[format]
    fits = encode_picture(np.zeros((1, longest, 3), np.uint8), {}, format=format)
    assert (fits.suffix, fits.warnings) == (SUFFIXES[format], ())
    assert read_picture(fits.content).size == (longest, 1)
    larger = encode_picture(np.zeros((longest + 1, 1, 3), np.uint8), TEXTS, format=format)
    assert larger.suffix == ".png"
    assert "saved as PNG" in larger.warnings[0]
    assert read_metadata(larger.content).parameters == TEXTS[PARAMETERS]


@pytest.mark.parametrize(
    ("parameters", "story", "kept", "warning"),
    [
        ("x" * 20_000, "y" * 20_000, ("x" * 20_000, "y" * 20_000), None),
        ("x" * 20_000, "y" * 30_000, ("x" * 20_000, ""), "without its story"),
        ("x" * 40_000, "y", ("", ""), "without them"),
    ],
)
def test_texts_too_long_for_a_jpeg_are_left_out_and_told(
    parameters: str, story: str, kept: tuple[str, str], warning: str | None
) -> None:
    encoded = encode_picture(PIXELS, {PARAMETERS: parameters, STORY: story}, format="jpeg")
    metadata = read_metadata(encoded.content)
    assert (metadata.parameters, metadata.story) == kept
    assert [warning in told for told in encoded.warnings if warning] == [True] * (warning is not None)


def test_a_text_that_just_fits_a_jpeg_is_kept() -> None:
    longest = (65_533 - len(exif_with({PARAMETERS: "x"}))) // 2 + 1
    for characters, kept in ((longest, True), (longest + 1, False)):
        encoded = encode_picture(PIXELS, {PARAMETERS: "x" * characters}, format="jpeg")
        assert (len(read_metadata(encoded.content).parameters) == characters) is kept


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\ufeff"), min_size=1))
def test_any_text_comes_back_from_exif(text: str) -> None:
    """The byte order is guessed from zeros, so text begins with a Latin word, as every infotext has some."""
    written = f"Steps: 1, Sampler: Euler, {text}"
    content = io.BytesIO()
    Image.new("RGB", (1, 1)).save(content, "WEBP", exif=exif_with({PARAMETERS: written, STORY: text}))
    metadata = read_metadata(content.getvalue())
    assert (metadata.parameters, metadata.story) == (written, text)


def test_the_comment_is_of_the_type_that_the_reader_of_a1111_expects() -> None:
    """piexif takes a comment of the type BYTE, as Pillow would write it, for numbers."""
    block = exif_with(TEXTS).removeprefix(b"Exif\0\0")
    file = io.BytesIO(block)
    root = ImageFileDirectory_v2(block[:8])
    file.seek(root.next)
    root.load(file)
    file.seek(root[0x8769])
    folder = ImageFileDirectory_v2(block[:8])
    folder.load(file)
    assert folder.tagtype[0x9286] == 7
    assert folder[0x9286] == b"UNICODE\0" + TEXTS[PARAMETERS].encode("utf-16-be")
