"""Memory as ``/memory`` tells it: of the machine, and of the device as the worker process told it last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sfumato.machine import machine_memory, process_memory
from sfumato_api_a1111.errors import json_response
from sfumato_api_a1111.state import current_api

if TYPE_CHECKING:
    from flask import Response

    from sfumato.memory import DeviceMemory
    from sfumato.studio import Studio

_FRESH_SECONDS = 120.0


def memory() -> Response:
    return json_response({"ram": ram(), "cuda": cuda(current_api().studio)})


def ram() -> dict[str, Any]:
    """In bytes: what this process uses, what new work could take, and their sum, as A1111 has them."""
    used, free = process_memory().resident, machine_memory().available
    return {"free": free, "used": used, "total": free + used}


def cuda(studio: Studio) -> dict[str, Any]:
    """The first GPU of the newest sample; that there is none, or that none is known, is an error in words."""
    from sfumato.memory_log import MemoryLog

    samples = MemoryLog(studio.database).since(time.time() - _FRESH_SECONDS)
    devices = [device for sample in reversed(samples) for device in sample.devices]
    found = next((device for device in devices if device.device.startswith("cuda")), None)
    return {"error": "unavailable"} if found is None else _told(found)


def _told(device: DeviceMemory) -> dict[str, Any]:
    used = device.total - device.free
    return {
        "system": {"free": device.free, "used": used, "total": device.total},
        "active": {"current": device.allocated, "peak": device.peak},
        "allocated": {"current": device.allocated, "peak": device.peak},
        "reserved": {"current": device.reserved, "peak": device.reserved},
        "inactive": {"current": device.reserved - device.allocated, "peak": 0},
        "events": {"retries": 0, "oom": 0},
    }
