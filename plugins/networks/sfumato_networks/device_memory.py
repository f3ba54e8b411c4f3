"""The memory of devices as torch tells it: the one place that asks. Importing it imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sfumato.machine import MachineMemory, machine_memory
from sfumato.memory import DeviceMemory

if TYPE_CHECKING:
    import torch

GPUS = ("cuda", "xpu")
"""Kinds of devices whose modules in torch tell the same by the same names; ROCm goes by the name of CUDA."""


def device_memory(device: str | torch.device) -> MachineMemory:
    """What new work on the device could take, and what it has, in bytes.

    For a CPU, that is the machine's memory or the container's, whichever is less.
    """
    import torch

    device = torch.device(device)
    if device.type in GPUS:
        found = _gpu(device.type, getattr(torch, device.type), _index(device))
        # Torch keeps freed memory, and uses it again.
        return MachineMemory(found.free + found.reserved - found.allocated, found.total)
    if device.type == "mps":  # its memory is the machine's
        gpu, machine = _mps(torch.mps), machine_memory()
        reusable = gpu.reserved - gpu.allocated
        return MachineMemory(min(gpu.free, machine.available) + reusable, gpu.total)
    return machine_memory()


def devices_in_use() -> Iterator[DeviceMemory]:
    """The devices that this process has set up; asking sets none up, nor imports torch."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "device"):  # it is only just being imported
        return
    for kind, module in _initialised(torch):
        yield from (_gpu(kind, module, index) for index in range(module.device_count()))
    if torch.backends.mps.is_available():
        yield _mps(torch.mps)


def _initialised(torch: Any) -> Iterator[tuple[str, Any]]:
    for kind in GPUS:
        module = getattr(torch, kind, None)
        if module is not None and module.is_initialized():
            yield kind, module


def _index(device: torch.device) -> int:
    import torch

    index: int | None = device.index  # torch's types know of none without
    return getattr(torch, device.type).current_device() if index is None else index


def _gpu(kind: str, module: Any, index: int) -> DeviceMemory:
    free, total = module.mem_get_info(index)
    return DeviceMemory(
        device=f"{kind}:{index}",
        label=module.get_device_name(index),
        total=total,
        free=free,
        allocated=module.memory_allocated(index),
        reserved=module.memory_reserved(index),
        peak=module.max_memory_allocated(index),
    )


def _mps(module: Any) -> DeviceMemory:
    total, reserved = module.recommended_max_memory(), module.driver_allocated_memory()
    return DeviceMemory(
        device="mps",
        label="Apple GPU",
        total=total,
        free=max(total - reserved, 0),
        allocated=module.current_allocated_memory(),
        reserved=reserved,
    )
