"""Kernels in Triton for weights on a CUDA device, where Triton is installed; nothing is needed of it else."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from sfumato_quant_gguf.triton_kernels.launching import TritonKernels

log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def _imported() -> TritonKernels | None:
    try:
        from sfumato_quant_gguf.triton_kernels.launching import TritonKernels
    except Exception as error:  # an installation that is broken says so in many ways
        log.debug("GGUF's blocks are computed with by torch alone, as there is no Triton: %s", error)
        return None
    return TritonKernels()


def triton_kernels(device: torch.device) -> TritonKernels | None:
    """The kernels for tensors on that device; None where Triton has none for it, or is not installed."""
    return _imported() if device.type == "cuda" else None
