"""Memory as ``/memory`` tells it: of the machine, and of the device by what the worker process has told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]

from sfumato_api_a1111.errors import json_response

if TYPE_CHECKING:
    from flask import Response


def memory() -> Response:
    return json_response({"ram": ram(), "cuda": {"error": "unavailable"}})


def ram() -> dict[str, Any]:
    """In bytes: what this process uses, what new work could take, and their sum, as A1111 has them."""
    used = psutil.Process().memory_info().rss
    free = psutil.virtual_memory().available
    return {"free": free, "used": used, "total": free + used}
