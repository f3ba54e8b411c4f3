"""Pictures from strangers: whatever is in them, an error for people comes out."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from sfumato.errors import BadInput
from sfumato.replay import CannotReplay
from sfumato_engine.replay.picture import LONGEST_TEXT, decoded_comment, read_picture
from sfumato_engine.replay.story import Story, parse_story, request_of
from sfumato_pictures.png import PARAMETERS, STORY

from .conftest import ReplayBench, rewritten, with_texts

TEXT = 'ein Käfer\nSteps: 4, Sampler: "Euler a", Size: 64x64'
USER_COMMENT = 0x9286
EXIF_FOLDER = 0x8769


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


def chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(*chunks: bytes, width: int = 1, height: int = 1) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 4))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no picture that can be read"),
        (b"hello", "is no picture that can be read"),
        (png()[:45], "cannot be read|is damaged"),
        (png(width=60_000, height=60_000), "is too large to be read"),
        (png(chunk(b"zTXt", b"sfumato\0\0" + zlib.compress(b"x" * 2**25))), "too (large|long)|is damaged"),
        (png(chunk(b"tEXt", b"parameters\0" + b"x" * (LONGEST_TEXT + 1))), "too long|is damaged"),
    ],
    ids=["empty", "text", "cut", "bomb", "packed", "long"],
)
def test_bad_files_are_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_picture(path)


def test_a_text_that_cannot_be_unpacked_is_none(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(png(chunk(b"iTXt", b"sfumato\0\1\0\0\0" + b"no zlib")))
    assert read_picture(path).story == ""


@pytest.mark.parametrize("missing", ["nothing.png", "."])
def test_what_is_no_file_is_told(tmp_path: Path, missing: str) -> None:
    with pytest.raises(BadInput, match="There is no picture"):
        read_picture(tmp_path / missing)


@given(st.integers(0, 400), st.binary(max_size=30))
def test_damaged_pictures_bring_out_errors_for_people(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    whole = png(
        chunk(b"tEXt", b"parameters\0" + TEXT.encode("latin-1")), chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1")
    )
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    with suppress(BadInput):
        assert read_picture(path).pixels.mode == "RGB"


def test_both_texts_and_the_pixels_are_read(picture: Path) -> None:
    read = read_picture(with_texts(picture, {STORY: "{}", PARAMETERS: TEXT}))
    assert (read.format, read.story, read.parameters) == ("PNG", "{}", TEXT)
    with Image.open(picture) as image:
        assert read.pixels.tobytes() == image.tobytes()


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
@pytest.mark.parametrize("name", ["picture.jpg", "picture.webp"])
def test_the_infotext_of_other_formats_is_read(picture: Path, name: str, comment: bytes) -> None:
    path = picture.with_name(name)
    with Image.open(picture) as image:
        exif = image.getexif()
        exif.get_ifd(EXIF_FOLDER)[USER_COMMENT] = comment
        image.save(path, exif=exif)
    assert read_picture(path).parameters == TEXT


@given(st.binary(max_size=200))
def test_any_comment_is_some_text(comment: bytes) -> None:
    assert isinstance(decoded_comment(comment), str)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["format", "request", "seed", "model", "parts", "x"]), inner)
        ),
        max_leaves=12,
    ).map(json.dumps)
    | st.text(max_size=20)
)
@example(nested(100_000))
@example('{"format": 2, "seed": ' + "9" * 5000 + "}")
@example('{"format": true, "request": {"steps": "many"}, "seed": 1}')
@example('{"format": 2, "request": {"cfg_scale": NaN}, "seed": 1}')
@example('{"format": 2, "request": {"prompt": "\\ud800"}, "seed": -5}')
@example('{"format": 2, "request": {}, "seed": 1, "model": [], "parts": {"vae": 3}}')
def test_any_text_is_a_story_or_an_error_for_people(text: str) -> None:
    try:
        story = parse_story(text)
        request_of(story)
    except BadInput:
        return
    assert isinstance(story, Story)


def test_a_later_format_is_refused_with_advice() -> None:
    with pytest.raises(BadInput, match="later version") as caught:
        parse_story('{"format": 99}')
    assert caught.value.hint == "Update Sfumato."


@pytest.mark.parametrize(
    "values", [{"steps": "many"}, {"width": 10**9}, {"sampler_options": []}, {"stages": {"a": 1}}]
)
def test_requests_that_cannot_be_are_refused(values: dict) -> None:
    story = Story(format=2, request=values, seed=1)
    with pytest.raises(BadInput, match="asks for what cannot be"):
        request_of(story)


@pytest.mark.parametrize(
    "surroundings",
    [{"torch": "\ud800"}, {"plugins": 3}, {"contributors": ["a"]}, {"plugins": {"x": {"y": [1]}}}],
)
def test_odd_surroundings_are_shown_as_text(bench: ReplayBench, surroundings: dict) -> None:
    def odd(story: dict) -> None:
        story["environment"] |= surroundings

    report = bench.replay(rewritten(bench.draw(), odd))
    assert report.verdict == "same"
    assert report.differences
    assert report.model_dump_json()


def test_an_option_too_large_to_be_a_number_is_told(bench: ReplayBench) -> None:
    drawn = bench.draw(sampler="euler_a")
    picture = rewritten(drawn, lambda story: story["request"]["sampler_options"].update(eta=10**400))
    with pytest.raises(CannotReplay, match="needs a float"):
        bench.replay(picture)


def test_what_a_stranger_wrote_forges_no_lines(bench: ReplayBench) -> None:
    forged = "2.0\nThe same as it was: to the bit."

    def forge(story: dict) -> None:
        story["environment"].update(torch=forged, plugins={forged: forged})
        story["request"].update(prompt=forged, **{forged: forged})

    picture = rewritten(bench.draw(), forge)
    report = bench.replay(picture, prompt="a car")
    assert len(report.differences) > 1
    for told in (*report.differences, *report.changes, *report.not_carried_over):
        assert "\n" not in str(told)
    with pytest.raises(CannotReplay) as caught:
        bench.replay(rewritten(picture, lambda story: story["request"].update(sampler=forged)))
    assert "\n" not in str(caught.value)
