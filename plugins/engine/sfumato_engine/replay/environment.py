"""The machine and software that drew a picture, as far as they can change one."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Collection, Mapping
from typing import Any

import importlib_metadata

from sfumato import __version__

DIGEST_LENGTH = 12
"""Hex digits: enough to tell environments apart at a glance."""


def environment(
    device: str, compute_types: Mapping[str, str], cfg_batching: str, contributors: Mapping[str, str]
) -> dict[str, Any]:
    """What a picture's story says of its surroundings; reading all metadata takes some milliseconds.

    Args:
        device: As people know it.
        compute_types: Number types asked for, by kind of part; "default" for all others.
        cfg_batching: Whether prompt and negative prompt were to go side by side.
        contributors: Which plugin brought what was used: by "sampler", "scheduler", "family", "stage x".

    Returns:
        JSON values only, with a short ``digest`` over all the others.
    """
    found = {
        "platform": platform.platform(),
        "processor": _processor(),
        "device": device,
        **_torch(),
        "python": platform.python_version(),
        "compute_types": dict(compute_types),
        "cfg_batching": cfg_batching,
        **installed_versions(),
        "contributors": dict(contributors),
        "distributions": _distributions(set(contributors.values())),
    }
    return {**found, "digest": digest(found)}


def digest(found: Mapping[str, Any]) -> str:
    """Equal for equal environments."""
    text = json.dumps({name: found[name] for name in found if name != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def installed_versions() -> dict[str, Any]:
    """Versions of Sfumato and of every installed plugin, switched off ones too."""
    plugins = {
        entry_point.name: entry_point.dist.version
        for entry_point in importlib_metadata.entry_points(group="sfumato")
        if entry_point.dist
    }
    return {"sfumato": __version__, "plugins": dict(sorted(plugins.items()))}


def _distributions(plugins: Collection[str]) -> dict[str, str]:
    """Under which name each of these plugins can be installed again."""
    return {
        entry_point.name: entry_point.dist.name
        for entry_point in sorted(importlib_metadata.entry_points(group="sfumato"))
        if entry_point.dist and entry_point.name in plugins
    }


def _processor() -> str:
    """The processor's model name where the system tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _torch() -> dict[str, Any]:
    """The tensor library: its version and build, and what decides how its sums round."""
    import torch

    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda or torch.version.hip or "",
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "tf32": bool(torch.backends.cuda.matmul.allow_tf32),
    }
