"""Memory for large results in large pages.

A result of 75 MB is 18,000 pages of 4 KiB, and taking them from the system one by one takes longer than
filling them. Linux gives 2 MiB at once to who asks.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

_WORTH_IT = 8 << 20


def empty(numbers: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """As `torch.empty`; [numbers], in large pages where it is large and the system has them."""
    size = numbers * dtype.itemsize
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is None or device.type != "cpu" or size < _WORTH_IT:
        return torch.empty(numbers, dtype=dtype, device=device)
    system: Any = mmap  # its names differ from system to system
    memory = system.mmap(-1, size, flags=system.MAP_PRIVATE | system.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them: pages of the usual size, then
        memory.madvise(advice)
    return torch.frombuffer(memory, dtype=dtype)
