"""The engine's memory figures: devices as torch sees them, and the models that are kept. Imports no torch.

Only a process that has imported torch already, and used a device, holds any of its memory: asking must not
be what makes the web process, or an idle one, set a device up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sfumato.memory import DeviceMemory, MemoryFigures, ModelMemory
from sfumato_engine.model_manager import WORKSPACE_KEY, ModelManager


def memory_figures(workspace: Mapping[str, Any]) -> MemoryFigures:
    """Fulfils `sfumato.memory.MemorySource`."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "device"):  # it is only just being imported
        return MemoryFigures()
    return MemoryFigures(devices=tuple(_devices(torch)), models=tuple(_kept_models(workspace)))


def forget_peaks() -> None:
    """Let the most that was allocated count anew, as work begins; devices that nothing has used stay so."""
    torch = sys.modules.get("torch")
    for kind in ("cuda", "xpu"):
        module = getattr(torch, kind, None)
        if module is not None and module.is_initialized():
            for index in range(module.device_count()):
                module.reset_peak_memory_stats(index)


def _devices(torch: Any) -> Iterator[DeviceMemory]:
    for kind in ("cuda", "xpu"):
        module = getattr(torch, kind, None)
        if module is not None and module.is_initialized():
            yield from (_gpu(kind, module, index) for index in range(module.device_count()))
    if torch.backends.mps.is_available():
        yield _mps(torch.mps)


def _gpu(kind: str, module: Any, index: int) -> DeviceMemory:
    """`module` is `torch.cuda` or `torch.xpu`, which tell the same under the same names."""
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


def _kept_models(workspace: Mapping[str, Any]) -> Iterator[ModelMemory]:
    manager: ModelManager | None = workspace.get(WORKSPACE_KEY)
    for kept in manager.models.values() if manager else ():
        sizes = _weights_by_device(kept.model.networks)
        yield from (
            ModelMemory(model=kept.model.info.name, device=device, size=size)
            for device, size in sizes.items()
        )


def _weights_by_device(networks: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of the tensors of all networks, each counted once however many layers share it."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    for network in networks.values():
        for tensor in (*network.parameters(), *network.buffers()):
            place = tensor.data_ptr()
            if place and place not in seen:
                seen.add(place)
                device = str(tensor.device)
                sizes[device] = sizes.get(device, 0) + tensor.nbytes
    return sizes
