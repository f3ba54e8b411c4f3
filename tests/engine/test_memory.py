"""Refusing what does not fit, and explaining when memory ran out all the same."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

from sfumato.errors import BadInput, OutOfMemory
from sfumato_engine.memory import container_memory, in_words, memory_errors_explained, what_fits
from sfumato_engine.sizes import check_size

from .conftest import Workbench
from .gaussian_model import BYTES_A_PIXEL
from .test_resolution import resolved


def bytes_needed(width: int, height: int, batch_size: int) -> int:
    return width * height * batch_size


def test_a_size_that_could_never_fit_is_refused_before_work_begins(workbench: Workbench) -> None:
    batch_size = psutil.virtual_memory().total // (BYTES_A_PIXEL * 16384 * 16384) + 1
    with pytest.raises(BadInput, match="more than this device can draw"):
        workbench.generate(width=16384, height=16384, batch_size=batch_size)
    assert not workbench.model.encoded


def test_a_smaller_batch_is_offered_first() -> None:
    assert "Batch size 3" in what_fits(bytes_needed, (100, 100, 8), 10, available=35_000)


def test_a_smaller_size_of_the_same_shape_is_offered_else() -> None:
    assert "140x70 with batch size 1" in what_fits(bytes_needed, (200, 100, 8), 10, available=10_000)


def test_where_nothing_fits_advice_stays_general() -> None:
    assert "Lower" in what_fits(bytes_needed, (200, 100, 1), 10, available=5)


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 300\n")
    memory = container_memory(tmp_path)
    assert memory is not None
    assert (memory.available, memory.total) == (600, 1000)


def test_no_container_or_no_limit_is_no_limit(tmp_path: Path) -> None:
    assert container_memory(tmp_path) is None
    for name, text in (("max", "max"), ("current", "1"), ("stat", "anon 1")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert container_memory(tmp_path) is None


def test_torchs_own_shortage_says_what_to_lower(workbench: Workbench) -> None:
    with (
        pytest.raises(OutOfMemory, match="Lower the width and height"),
        memory_errors_explained(resolved(workbench)),
    ):
        torch.empty(1 << 60)


def test_pythons_shortage_does_too(workbench: Workbench) -> None:
    with pytest.raises(OutOfMemory, match="batch size"), memory_errors_explained(resolved(workbench)):
        bytearray(1 << 60)


def test_other_errors_stay_what_they_are(workbench: Workbench) -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_errors_explained(resolved(workbench)):
        torch.zeros(2).reshape(3)


def test_sizes_off_the_grid_name_their_neighbours() -> None:
    with pytest.raises(BadInput, match=r"Nearest: width 96 or 112, height 16\."):
        check_size(100, 15, 16)
    check_size(96, 112, 16)


def test_bytes_are_told_in_words() -> None:
    assert (in_words(3_200_000_000), in_words(5_000_000)) == ("3.2 GB", "5.0 MB")
