"""Sheets of pictures: how many rows, what stands where, and which legends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import ImageFont

from sfumato.errors import BadInput
from sfumato_pictures import fonts
from sfumato_pictures.sheet import Legends, contact_sheet, labelled_sheet, rows_for

WHITE = np.array([255, 255, 255], dtype=np.uint8)


def plain(value: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


@pytest.mark.parametrize(
    ("count", "options", "rows"),
    [
        (4, {}, 2),
        (6, {}, 2),
        (7, {}, 3),
        (1, {}, 1),
        (5, {"rows": 3}, 3),
        (2, {"rows": 5}, 2),
        (8, {"rows": 0, "batch_size": 4}, 4),
        (7, {"no_gaps": True}, 1),
        (12, {"no_gaps": True}, 3),
        (0, {}, 1),
    ],
)
def test_the_rows_of_a_contact_sheet_are_those_of_a1111(count: int, options: dict, rows: int) -> None:
    assert rows_for(count, **options) == rows


def test_pictures_stand_row_by_row_each_in_the_middle_of_its_place() -> None:
    small = torch.full((20, 20, 3), 50, dtype=torch.uint8)
    sheet = contact_sheet([plain(10), small, None, plain(30)], rows=2, background="#ff0000")
    assert sheet.shape == (80, 120, 3)
    assert (sheet[:40, :60] == 10).all()
    assert (sheet[10:30, 80:100] == 50).all()
    assert (sheet[40:, 60:] == 30).all()
    for gap in (sheet[40:, :60], sheet[:10, 60:], sheet[10:30, 60:80]):
        assert (gap == [255, 0, 0]).all()


def test_a_margin_keeps_pictures_apart() -> None:
    sheet = labelled_sheet([plain(0)] * 4, columns=2, margin=4)
    assert sheet.shape == (84, 124, 3)
    assert (sheet[40:44] == 255).all()
    assert (sheet[:, 60:64] == 255).all()


def ink(sheet: np.ndarray) -> np.ndarray:
    """Where something is written on the white paper."""
    return (sheet != WHITE).any(axis=2)


def test_legends_stand_above_and_beside_and_leave_the_pictures_alone() -> None:
    legends = Legends(columns=["one", "two"], rows=["a", "b"], title="the title")
    sheet = labelled_sheet([plain(255)] * 4, columns=2, legends=legends)
    left, top = sheet.shape[1] - 120, sheet.shape[0] - 80
    assert left > 0
    assert top > 24
    written = ink(sheet)
    assert not written[top:, left:].any()
    for part in (written[top : top + 40, :left], written[top + 40 :, :left]):
        assert part.any()
    for part in (written[: top // 2], written[top // 2 : top, left : left + 60]):
        assert part.any()


def test_without_legends_there_is_no_room_for_them() -> None:
    assert labelled_sheet([plain(1)] * 2, columns=2, legends=Legends(["", ""], [""])).shape == (40, 120, 3)


@given(st.text(max_size=300) | st.text("字é W\n", max_size=300))
@example("000000_t")  # of its two lines, one leans to the left and one to the right
def test_any_text_is_wrapped_within_its_place(text: str) -> None:
    sheet = labelled_sheet([plain(255)] * 2, columns=2, legends=Legends([text, ""], [text], text))
    written = ink(sheet)
    assert sheet.shape[1] <= 120 + max(45, 48) + 12
    top = sheet.shape[0] - 40
    assert not written[top:, sheet.shape[1] - 120 :].any()
    above_the_second = written[:top, sheet.shape[1] - 58 :]
    title_alone = labelled_sheet([plain(255)] * 2, columns=2, legends=Legends((), [text], text))
    title_height = title_alone.shape[0] - 40
    assert not above_the_second[title_height:].any()


def test_a_long_word_is_broken_and_loses_no_letter() -> None:
    long = labelled_sheet([plain(255)], columns=1, legends=Legends(["W" * 40]))
    short = labelled_sheet([plain(255)], columns=1, legends=Legends(["W" * 4]))
    assert long.shape[1] == short.shape[1] == 60
    assert ink(long).sum() == pytest.approx(10 * ink(short).sum(), rel=0.05)


def test_letters_that_no_font_has_are_written_without_their_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own font has plain Latin letters, and is all that some machines have."""
    monkeypatch.setattr(fonts, "SYSTEM_FONTS", ())
    assert fonts.font_for("Käfer 字", 12)[1] == "Kafer ?"
    sheets = [
        labelled_sheet([plain(255)], columns=1, legends=Legends([text])) for text in ("Käfer 字", "Kafer ?")
    ]
    assert np.array_equal(*sheets)


def test_a_font_that_has_the_letters_is_found_or_named(tmp_path: Path) -> None:
    own = ImageFont.load_default(12)
    assert isinstance(own, ImageFont.FreeTypeFont)
    assert fonts.font_for("plain text", 12)[0].getname() == own.getname()
    assert fonts.font_for("plain text", 12, str(tmp_path / "missing.ttf"))[0].getname() == own.getname()
    font, written = fonts.font_for("Käfer", 12)
    assert written == "Käfer" or font.getname() == own.getname()


def test_a_sheet_too_large_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(BadInput, match=r"6000x40 pixels; the limit is at 0\.1 million"):
        labelled_sheet([plain(1)] * 100, columns=100, largest_megapixels=0.1)


def test_a_sheet_of_nothing_is_refused() -> None:
    for pictures in ([], [None, None]):
        with pytest.raises(BadInput, match="no picture"):
            labelled_sheet(pictures, columns=1)
