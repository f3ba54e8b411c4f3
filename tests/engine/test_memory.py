"""Refusing what does not fit, and explaining when memory ran out all the same."""

from __future__ import annotations

import math

import psutil
import pytest
import torch

from sfumato.errors import BadInput, OutOfMemory
from sfumato_engine.memory import (
    in_words,
    memory_errors_explained,
    what_fits,
    working_memory,
)
from sfumato_engine.model_manager import WORKSPACE_KEY
from sfumato_engine.settings import EngineSettings
from sfumato_engine.sizes import check_size
from sfumato_networks.device_memory import device_memory

from .conftest import Workbench
from .gaussian_model import BYTES_A_PIXEL, DECODING_BYTES_A_PIXEL, GaussianFamily
from .test_generate import pixels
from .test_resolution import resolved


def bytes_needed(width: int, height: int, batch_size: int) -> int:
    return width * height * batch_size


def test_a_size_that_could_never_fit_is_refused_before_work_begins(workbench: Workbench) -> None:
    batch_size = psutil.virtual_memory().total // (BYTES_A_PIXEL * 16384 * 16384) + 1
    with pytest.raises(BadInput, match="more than this device can draw"):
        workbench.generate(width=16384, height=16384, batch_size=batch_size)
    assert not workbench.model.encoded


def test_models_kept_for_later_go_before_a_picture_is_refused(workbench: Workbench) -> None:
    workbench.settings = EngineSettings(keep_models=2)
    for dtype in ("float32", "bfloat16"):
        workbench.generate(seed=1, model_options={"body_dtype": dtype})
    total = device_memory("cpu").total
    side = 1024 * math.ceil(math.sqrt(total / 1024 / (BYTES_A_PIXEL * 1024**2)))
    batch_size = total // (BYTES_A_PIXEL * side**2)
    with pytest.raises(OutOfMemory, match="free on cpu"):
        workbench.generate(width=side, height=side, batch_size=batch_size, cfg_scale=1)
    assert workbench.model.placement.part_dtypes == {}
    assert len(workbench.workspace[WORKSPACE_KEY].models) == 1


@pytest.mark.parametrize(
    ("size", "prompts", "expected"),
    [
        ((1024, 1024, 8), 1, 8 * 1024**2 * BYTES_A_PIXEL),
        ((1024, 1024, 1), 1, 1024**2 * DECODING_BYTES_A_PIXEL),
        ((64, 64, 2), 1, 2 * 64**2 * DECODING_BYTES_A_PIXEL),
        ((1024, 1024, 8), 2, 2 * 8 * 1024**2 * BYTES_A_PIXEL),
        ((1024, 1024, 8), 3, 3 * 8 * 1024**2 * BYTES_A_PIXEL),
    ],
)
def test_the_estimate_counts_what_is_done_side_by_side(
    workbench: Workbench, size: tuple[int, int, int], prompts: int, expected: int
) -> None:
    workbench.generate(seed=1)
    request = resolved(workbench)
    settings = EngineSettings(cfg_batching="batch", vae_tiling="never")
    assert working_memory(workbench.model, request, settings, prompts, size) == expected
    in_parts = EngineSettings(cfg_batching="batch", vae_tile=64)
    assert working_memory(workbench.model, request, in_parts, prompts, size) <= expected


def test_a_picture_too_large_to_be_decoded_whole_is_decoded_in_parts(workbench: Workbench) -> None:
    whole = workbench.generate(seed=1, width=96, height=64).images[0]
    workbench.model.decoded.clear()
    workbench.settings = EngineSettings(vae_tiling="always", vae_tile=64, vae_overlap=32)
    parts = workbench.generate(seed=1, width=96, height=64).images[0]
    assert len(workbench.model.decoded) > 1
    assert (pixels(whole.path) == pixels(parts.path)).all()


def test_a_smaller_batch_is_offered_first() -> None:
    assert "Batch size 3" in what_fits(bytes_needed, (100, 100, 8), 10, available=35_000)


def test_a_smaller_size_of_the_same_shape_is_offered_else() -> None:
    assert "140x70 with batch size 1" in what_fits(bytes_needed, (200, 100, 8), 10, available=10_000)


def test_where_nothing_fits_advice_stays_general() -> None:
    assert "Lower" in what_fits(bytes_needed, (200, 100, 1), 10, available=5)


def test_torchs_own_shortage_says_what_to_lower() -> None:
    with (
        pytest.raises(OutOfMemory, match="Lower the width and height"),
        memory_errors_explained("No memory.", "Lower the width and height."),
    ):
        torch.empty(1 << 60)


def test_pythons_shortage_does_too() -> None:
    with (
        pytest.raises(OutOfMemory, match=r"ran out\. .*Lower"),
        memory_errors_explained("It ran out.", "Lower it."),
    ):
        bytearray(1 << 60)


def test_a_shortage_while_loading_does_not_advise_a_smaller_picture(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GaussianFamily, "load", lambda *arguments: bytearray(1 << 60))
    with pytest.raises(OutOfMemory, match="while 'gauss' was loaded") as caught:
        workbench.generate(seed=1)
    assert "dtype bfloat16" in caught.value.hint
    assert "width" not in caught.value.hint


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_errors_explained("It ran out.", "Lower it."):
        torch.zeros(2).reshape(3)


def test_sizes_off_the_grid_name_their_neighbours() -> None:
    with pytest.raises(BadInput, match=r"Nearest: width 96 or 112, height 16\."):
        check_size(100, 15, 16)
    check_size(96, 112, 16)


def test_bytes_are_told_in_words() -> None:
    assert (in_words(3_200_000_000), in_words(5_000_000)) == ("3.2 GB", "5.0 MB")
