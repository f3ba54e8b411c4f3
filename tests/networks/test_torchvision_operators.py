"""A torchvision whose compiled operators cannot be loaded is importable all the same."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

MISFIT = """
import torch


@torch.library.register_fake("torchvision::nms")
def nms(dets, scores, iou_threshold):
    return dets


@torch.library.register_fake("torchvision::qnms")
def qnms(dets, scores, iou_threshold):
    return dets
"""
"""What torchvision does while it is imported, whether or not its operators are there."""
FITTING = """
import torch

LIBRARY = torch.library.Library("torchvision", "DEF")
LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
LIBRARY.impl("nms", lambda dets, scores, iou_threshold: scores, "CPU")
"""
DECLARED = "from sfumato_networks.torchvision_operators import declare_where_missing as d; d(); d(); "


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own, with the torchvision of that folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_torchvision_without_its_operators_is_imported(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text(MISFIT)
    assert "torchvision::nms does not exist" in run(tmp_path, "import torchvision").stderr
    mended = run(tmp_path, DECLARED + "import torchvision; print('imported')")
    assert (mended.stdout, mended.stderr) == ("imported\n", "")


def test_the_operators_of_a_torchvision_that_fits_stay_in_force(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text(FITTING + MISFIT)
    code = "import torch; x = torch.ones(2, 4); print(torch.ops.torchvision.nms(x, x[0], 0.5).tolist())"
    assert run(tmp_path, DECLARED + code).stdout == "[1.0, 1.0, 1.0, 1.0]\n"


@pytest.mark.slow
def test_the_installed_torchvision_is_imported_and_diffusers_with_it() -> None:
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    code = (
        DECLARED + "from diffusers import AutoencoderKL; from transformers import CLIPTextModel; print('ok')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "ok\n", done.stderr
