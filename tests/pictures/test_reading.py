"""Pictures from anyone: every mode and orientation, damage, and the texts of other programs."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import BadInput
from sfumato_pictures.metadata import LONGEST_TEXT, PARAMETERS, STORY, decoded_comment
from sfumato_pictures.reading import read_mask, read_metadata, read_picture, read_size

TEXT = 'ein Käfer\nSteps: 4, Sampler: "Euler a", Size: 64x64'
USER_COMMENT = 0x9286
EXIF_FOLDER = 0x8769
ORIENTATION = 0x0112


def file_of(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, format, **options)
    return content.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(*chunks: bytes, width: int = 1, height: int = 1) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 4))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


GREYS = np.array([[0, 100], [200, 255]], dtype=np.uint8)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_mode_of_png_becomes_eight_bits_of_rgb(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(GREYS.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(GREYS).convert(mode)
    expected = Image.fromarray(GREYS).convert("1").convert("L") if mode == "1" else Image.fromarray(GREYS)
    picture = read_picture(file_of(image))
    assert picture.pixels.dtype == np.uint8
    assert np.array_equal(picture.pixels, np.asarray(expected.convert("RGB")))
    assert picture.alpha is None


def test_32_bits_are_not_cut_off() -> None:
    image = Image.fromarray(np.array([[0, 2**30, 2**31 - 1]], np.int32))
    assert read_picture(file_of(image, "TIFF")).pixels[0, :, 0].tolist() == [0, 128, 255]


def test_16_bits_are_rounded_and_not_cut_off() -> None:
    image = Image.fromarray(np.array([[0, 127, 129, 32896, 65535]], dtype=np.uint16))
    assert read_picture(file_of(image)).pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize(("largest", "white"), [(1.0, 255), (255.0, 255), (0.5, 128)])
def test_floats_are_taken_from_zero_to_one_or_to_255(largest: float, white: int) -> None:
    image = Image.fromarray(np.array([[0, largest]], dtype=np.float32))
    assert read_picture(file_of(image, "TIFF")).pixels[0, :, 0].tolist() == [0, white]


def test_cmyk_is_read_as_the_colours_that_it_prints() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert read_picture(file_of(red, "JPEG")).pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=6)


def test_transparent_parts_are_laid_on_the_background() -> None:
    image = Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], dtype=np.uint8))
    picture = read_picture(file_of(image))
    assert picture.pixels[0].tolist() == [[10, 20, 30], [255, 255, 255], [127, 127, 127]]
    green = read_picture(file_of(image), background="#00ff00")
    assert green.pixels[0].tolist() == [[10, 20, 30], [0, 255, 0], [0, 127, 0]]
    assert np.asarray(picture.colours)[0].tolist() == [[10, 20, 30], [10, 20, 30], [0, 0, 0]]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 0, 128]]


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_colour_that_is_told_to_be_transparent_is(mode: str) -> None:
    image = Image.new("RGB", (2, 1), "red").convert(mode)
    image.putpixel((1, 0), {"P": 0, "RGB": (0, 0, 0), "L": 0}[mode])
    picture = read_picture(file_of(image, transparency={"P": 0, "RGB": (0, 0, 0), "L": 0}[mode]))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 0]]
    assert picture.pixels[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda p: p),
        (2, np.fliplr),
        (3, lambda p: np.rot90(p, 2)),
        (4, np.flipud),
        (5, lambda p: np.transpose(p, (1, 0, 2))),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: np.rot90(np.transpose(p, (1, 0, 2)), 2)),
        (8, lambda p: np.rot90(p, 1)),
    ],
)
def test_a_picture_is_turned_as_its_exif_says(
    orientation: int, turned: Callable[[np.ndarray], np.ndarray]
) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    picture = read_picture(file_of(image, exif=exif))
    assert np.array_equal(picture.pixels, turned(pixels))
    assert read_size(file_of(image, exif=exif)) == picture.size


def test_the_first_frame_of_an_animation_is_the_picture() -> None:
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    for format in ("GIF", "PNG", "WEBP"):
        content = file_of(red, format, save_all=True, append_images=[blue])
        assert read_picture(content).pixels[0, 0].tolist() == pytest.approx([255, 0, 0], abs=4)


def test_pixels_can_be_written_to() -> None:
    assert read_picture(file_of(Image.new("RGB", (1, 1)))).pixels.flags.writeable


def test_a_file_is_what_it_holds_and_not_what_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "picture.exe"
    path.write_bytes(file_of(Image.new("RGB", (3, 2)), "WEBP"))
    picture = read_picture(path)
    assert (picture.format, picture.size, picture.path) == ("WEBP", (3, 2), path)


def test_postscript_is_no_picture_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (3, 2)).save(path, "EPS")
    with pytest.raises(BadInput, match="is no picture that can be read"):
        read_picture(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no picture that can be read.*empty"),
        (b"hello", "is no picture that can be read.*none of PNG"),
        (png()[:45], "cannot be read|is damaged"),
        (file_of(Image.effect_noise((64, 64), 9), "JPEG")[:700], "cannot be read|is damaged"),
        (png(width=0), "is no picture that can be read|is damaged"),
        (png(width=60_000, height=60_000), "is too large to be read"),
        (png(width=2000, height=1000), "2000x1000 pixels.*limit is at 1 million"),
        (png(chunk(b"zTXt", b"sfumato\0\0" + zlib.compress(b"x" * 2**25))), "too (large|long)|is damaged"),
    ],
    ids=["empty", "text", "cut", "cut jpeg", "no width", "bomb", "over the limit", "packed"],
)
def test_bad_files_are_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(BadInput, match=f"(?s){message}") as caught:
            read_picture(source, largest_megapixels=1)
        assert ("'bad.png'" in str(caught.value)) == (source is path)


@pytest.mark.parametrize("missing", ["nothing.png", "."])
def test_what_is_no_file_is_told(tmp_path: Path, missing: str) -> None:
    with pytest.raises(BadInput, match="There is no picture"):
        read_picture(tmp_path / missing)


@given(st.integers(0, 400), st.binary(max_size=30))
def test_damaged_pictures_bring_out_errors_for_people(at: int, noise: bytes) -> None:
    whole = png(
        chunk(b"tEXt", b"parameters\0" + TEXT.encode("latin-1")), chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1")
    )
    with suppress(BadInput):
        assert read_picture(whole[:at] + noise + whole[at + len(noise) :]).pixels.shape[2] == 3


def test_white_is_masked_unless_the_picture_is_transparent_somewhere() -> None:
    grey, black = Image.fromarray(GREYS), Image.new("L", (2, 2))
    white = ImageOps.invert(black)
    for image in (
        grey,
        grey.convert("RGB"),
        Image.merge("LA", (black, grey)),
        Image.merge("LA", (grey, white)),
    ):
        assert read_mask(file_of(image)).tolist() == GREYS.tolist()


def with_comment(comment: bytes, format: str) -> bytes:
    image = Image.new("RGB", (8, 8))
    exif = image.getexif()
    exif[0x0131] = "a camera"  # Pillow leaves out blocks without a tag of their own
    exif.get_ifd(EXIF_FOLDER)[USER_COMMENT] = comment
    return file_of(image, format, exif=exif)


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode("utf-16-le"),
        b"UNICODE\0" + TEXT.encode("utf-16"),  # with a byte order mark
        b"ASCII\0\0\0" + TEXT.encode(),
        b"\0" * 8 + TEXT.encode(),
    ],
    ids=["big", "little", "marked", "ascii", "undefined"],
)
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "PNG"])
def test_the_infotext_in_exif_is_read(format: str, comment: bytes) -> None:
    metadata = read_metadata(with_comment(comment, format))
    assert (metadata.parameters, metadata.source) == (TEXT, "a1111")


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
def test_texts_are_read_from_all_kinds_of_chunks(kind: str) -> None:
    chunks = PngInfo()
    if kind == "iTXt":
        chunks.add_itxt(PARAMETERS, TEXT)
    else:
        chunks.add_text(PARAMETERS, TEXT, zip=kind == "zTXt")
    chunks.add_text("Software", "a camera")
    metadata = read_metadata(file_of(Image.new("RGB", (1, 1)), pnginfo=chunks))
    assert dict(metadata.texts) == {PARAMETERS: TEXT, "Software": "a camera"}
    assert (metadata.parameters, metadata.story) == (TEXT, "")


def test_texts_behind_the_pixels_are_read() -> None:
    text = chunk(b"tEXt", b"parameters\0" + TEXT.encode("latin-1"))
    whole = png()
    content = whole[:-12] + text + whole[-12:]
    for metadata in (read_metadata(content), read_picture(content).metadata):
        assert (metadata.parameters, metadata.texts) == (TEXT, {PARAMETERS: TEXT})


def test_the_texts_of_a_png_are_read_without_its_pixels() -> None:
    """A gallery reads thousands: here the pixels are missing."""
    cut = png(chunk(b"tEXt", b"parameters\0" + TEXT.encode("latin-1")), width=9, height=9)[:-12]
    assert read_metadata(cut).parameters == TEXT
    with pytest.raises(BadInput):
        read_picture(cut)


def test_the_comment_of_a_gif_is_its_infotext() -> None:
    assert read_metadata(file_of(Image.new("P", (1, 1)), "GIF", comment=TEXT.encode())).parameters == TEXT


def test_the_graph_of_comfyui_is_read_from_png_and_webp() -> None:
    graph, workflow = '{"3": {"class_type": "KSampler"}}', '{"nodes": []}'
    chunks = PngInfo()
    chunks.add_text("prompt", graph)
    chunks.add_text("workflow", workflow)
    image = Image.new("RGB", (1, 1))
    exif = image.getexif()
    exif[0x0110], exif[0x010F] = f"prompt:{graph}", f"workflow:{workflow}"
    for content in (file_of(image, pnginfo=chunks), file_of(image, "WEBP", exif=exif)):
        metadata = read_metadata(content)
        assert (metadata.graph, metadata.workflow, metadata.source) == (graph, workflow, "comfyui")


@pytest.mark.parametrize(
    ("texts", "source"),
    [
        ({PARAMETERS: TEXT, STORY: "{}"}, "sfumato"),
        ({PARAMETERS: TEXT, "prompt": "{}"}, "a1111"),
        ({PARAMETERS: '{"prompt": "a cat"}'}, "other"),
        ({"Title": "x"}, ""),
    ],
)
def test_the_source_is_the_text_that_tells_most(texts: dict[str, str], source: str) -> None:
    chunks = PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword, text)
    assert read_metadata(file_of(Image.new("RGB", (1, 1)), pnginfo=chunks)).source == source


@pytest.mark.parametrize(
    "broken",
    [
        png(chunk(b"iTXt", b"sfumato\0\1\0\0\0" + b"no zlib")),
        png(chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1")),
        with_comment(b"UNICODE\0" + "x".encode("utf-16-be") * (LONGEST_TEXT + 1), "WEBP"),
    ],
    ids=["chunk", "exif", "long"],
)
def test_a_text_that_cannot_be_read_is_none(broken: bytes) -> None:
    metadata = read_metadata(broken)
    assert (metadata.parameters, metadata.story, metadata.source) == ("", "", "")


@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
def test_a_comment_of_emoji_is_read_in_its_byte_order(order: str) -> None:
    text = "😀" * 90 + "\nSteps: 4, Seed: 1, Size: 64x64"
    assert decoded_comment(b"UNICODE\0" + text.encode(order)) == text


@given(st.binary(max_size=200))
def test_any_comment_is_some_text(comment: bytes) -> None:
    assert isinstance(decoded_comment(comment), str)
