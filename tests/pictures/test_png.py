"""PNG files and the texts they carry."""

from __future__ import annotations

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sfumato_pictures.metadata import PARAMETERS
from sfumato_pictures.png import encode_png

PIXELS = torch.arange(2 * 3 * 3, dtype=torch.uint8).reshape(2, 3, 3)


def text_in(file: bytes) -> dict[str, str]:
    with Image.open(io.BytesIO(file)) as image:
        image.load()
        return dict(image.text)  # type: ignore[attr-defined]


def test_pixels_are_kept_exactly() -> None:
    with Image.open(io.BytesIO(encode_png(PIXELS, {}))) as image:
        assert image.size == (3, 2)
        assert image.tobytes() == bytes(PIXELS.flatten().tolist())


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")))
def test_any_text_comes_back(text: str) -> None:
    assert text_in(encode_png(PIXELS, {PARAMETERS: text}))[PARAMETERS] == text


def test_latin_text_is_plain_and_other_text_international() -> None:
    assert b"tEXtparameters\0caf\xe9" in encode_png(PIXELS, {PARAMETERS: "café"})
    assert b"iTXtparameters\0" in encode_png(PIXELS, {PARAMETERS: "低"})


@pytest.mark.parametrize(
    ("text", "kept"), [("a\0b", "ab"), ("bad \udcff byte", "bad ? byte"), ("x" * 100_000, "x" * 100_000)]
)
def test_hostile_text_is_written_as_far_as_it_is_text(text: str, kept: str) -> None:
    assert text_in(encode_png(PIXELS, {PARAMETERS: text}))[PARAMETERS] == kept
