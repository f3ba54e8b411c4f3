"""The engine's memory figures: devices as torch sees them, and the models that are kept. Imports no torch.

Only a process that has imported torch already, and used a device, holds any of its memory: asking must not
be what makes the web process, or an idle one, set a device up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sfumato.memory import DeviceMemory, MemoryFigures, ModelMemory
from sfumato_engine.model_manager import WORKSPACE_KEY, ModelManager
from sfumato_engine.settings import SIMULATED
from sfumato_networks.device_memory import devices_in_use

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato_engine.counting_allocator import CountingAllocator


def memory_figures(workspace: Mapping[str, Any]) -> MemoryFigures:
    """Fulfils `sfumato.memory.MemorySource`."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "device"):  # it is only just being imported
        return MemoryFigures()
    manager: ModelManager | None = workspace.get(WORKSPACE_KEY)
    if manager is None:
        return MemoryFigures(devices=tuple(devices_in_use()))
    devices = [*devices_in_use(), *([_simulated(manager.simulated)] if manager.simulated else ())]
    place, peak = manager.peak()
    return MemoryFigures(
        devices=tuple(_with_peak(each, peak) if _is_same(each.device, place) else each for each in devices),
        models=tuple(_kept_models(manager)),
        peak=peak if place == "cpu" else 0,
    )


def _is_same(device: str, place: str) -> bool:
    """Whether they name one device: "cuda" is the first one."""
    return device in (place, f"{place}:0")


def _with_peak(device: DeviceMemory, peak: int) -> DeviceMemory:
    """The device's own peak counts from the latest phase alone, or is not known."""
    return device.model_copy(update={"peak": max(device.peak, peak)})


def _simulated(allocator: CountingAllocator) -> DeviceMemory:
    capacity = allocator.capacity or 0
    return DeviceMemory(
        device=SIMULATED,
        label="Simulated device",
        total=capacity,
        free=max(capacity - allocator.current, 0),
        allocated=allocator.current,
        reserved=allocator.current,
        peak=allocator.peak,
    )


def _kept_models(manager: ModelManager) -> Iterator[ModelMemory]:
    """Every part of every model that is kept, by the devices that it lies on; parts that share count once."""
    seen: set[tuple[str, int]] = set()
    for kept in list(manager.models.values()):
        for part, network in kept.model.networks.items():
            for device, (size, mapped) in _weights_by_device(network, seen, manager.simulated).items():
                yield ModelMemory(
                    model=kept.model.info.name, part=part, device=device, size=size, mapped=mapped
                )


def _weights_by_device(
    network: Any, seen: set[tuple[str, int]], simulated: CountingAllocator | None
) -> dict[str, tuple[int, int]]:
    """Bytes of the tensors of a network as they are stored, and how many of them are pages of files.

    Args:
        seen: Tensors that count already; these are added.
    """
    sizes: dict[str, tuple[int, int]] = {}
    for tensor in _stored_tensors(network):
        device = SIMULATED if simulated and simulated.counts(tensor) else str(tensor.device)
        place = device, tensor.data_ptr()
        if place[1] and place not in seen:
            seen.add(place)
            size, mapped = sizes.get(device, (0, 0))
            sizes[device] = size + tensor.nbytes, mapped + (tensor.nbytes if _is_mapped(tensor) else 0)
    return sizes


def _stored_tensors(network: Any) -> Iterator[Tensor]:
    """What its weights and buffers are stored in, wherever that lies."""
    from sfumato_networks.stored.tensor import WeightTensor

    for tensor in (*network.parameters(), *network.buffers()):
        if isinstance(tensor, WeightTensor):
            yield from tensor.stored.tensors
        else:
            yield tensor


def _is_mapped(tensor: Tensor) -> bool:
    """Memory that torch did not allocate is that of a mapped file."""
    return tensor.device.type == "cpu" and not tensor.untyped_storage().resizable()
