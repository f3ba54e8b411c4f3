"""In which types the parts of a model compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.models import PartInfo, Placement
from sfumato_networks.part_loader import PartLoader

from ..tiny_models import library_of


def part(kind: str, dtype: str = "F16") -> PartInfo:
    return PartInfo(kind=kind, prefix="", dtype=dtype, parameters=1, size_bytes=2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unet", torch.float16),
        ("clip_text", torch.float16),
        ("t5_encoder", torch.bfloat16),
        ("autoencoder", torch.bfloat16),
    ],
)
def test_on_a_gpu_each_part_computes_in_the_half_that_holds_its_signals(
    tmp_path: Path, kind: str, expected: torch.dtype
) -> None:
    placement = Placement(device="cuda", dtype="auto")
    assert (
        PartLoader(library_of(tmp_path), placement, {}, fits_float16=["unet"]).dtype(part(kind)) == expected
    )


def test_a_wish_for_one_part_goes_before_the_options_and_these_before_the_wish_for_all(
    tmp_path: Path,
) -> None:
    placement = Placement(device="cpu", dtype="float32", part_dtypes={"unet": "bfloat16", "vae": "auto"})
    loader = PartLoader(library_of(tmp_path), placement, {"unet": "float32", "vae": "bfloat16"})
    types = {kind: loader.dtype(part(kind)) for kind in ("unet", "vae", "clip_text")}
    assert types == {"unet": torch.bfloat16, "vae": torch.bfloat16, "clip_text": torch.float32}
