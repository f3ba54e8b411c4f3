"""How a picture came to be: the fields of its infotext and the JSON stored beside it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import importlib_metadata
import torch

from sfumato import __version__
from sfumato.library import ModelLibrary
from sfumato.models import ModelInfo
from sfumato.sampling import Option
from sfumato_engine import infotext
from sfumato_engine.option_roles import infotext_fields
from sfumato_engine.resolution import ResolvedRequest

FORMAT = 1
"""Version of the JSON's shape."""

SHORT_HASH = 10

OPTION_KEYS: Mapping[str, str] = {
    "eta": "Eta",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
}
"""Infotext keys of sampler and scheduler options that A1111 knows; others go by their own name."""


@dataclass(frozen=True)
class Provenance:
    """What is the same for every picture of a request."""

    resolved: ResolvedRequest
    model_sha256: str
    device: str
    versions: Mapping[str, Any]

    def infotext(self, seed: int) -> str:
        """The A1111 text of the picture made with `seed`."""
        request = self.resolved.request
        fields = {
            "Steps": request.steps,
            "Sampler": self.resolved.sampler.info.label,
            "Schedule type": self.resolved.scheduler.info.label,
            "CFG scale": request.cfg_scale,
            "Seed": seed,
            "Size": f"{request.width}x{request.height}",
            "Model hash": self.model_sha256[:SHORT_HASH] or None,
            "Model": self.resolved.info.name,
            "RNG": "CPU",
            **infotext_fields(
                self.resolved.family.options, self.resolved.info.variant, self.resolved.model_options
            ),
            **self._option_fields(),
            "Version": f"sfumato {__version__}",
        }
        return infotext.write(request.prompt, request.negative_prompt, fields)

    def _option_fields(self) -> dict[str, Any]:
        """Sampler and scheduler options that differ from their defaults."""
        changed: dict[str, Any] = {}
        for options, values in (
            (self.resolved.sampler.info.options, self.resolved.sampler_options),
            (self.resolved.scheduler.info.options, self.resolved.scheduler_options),
        ):
            changed |= {
                _key(option): values[option.name]
                for option in options
                if values[option.name] != option.default
            }
        return changed

    def json(self, seed: int) -> str:
        """The whole story in ASCII JSON: the resolved request, the model and all versions."""
        info = self.resolved.info
        story = {
            "format": FORMAT,
            "request": self.resolved.request.model_dump(mode="json"),
            "seed": seed,
            "model": {**_model(info), "sha256": self.model_sha256},
            "device": self.device,
            "versions": dict(self.versions),
        }
        return json.dumps(story)


def _key(option: Option) -> str:
    return OPTION_KEYS.get(option.name, option.name.replace("_", " ").capitalize())


def _model(info: ModelInfo) -> dict[str, str]:
    return {"name": info.name, "family": info.family, "variant": info.variant, "file": info.path.name}


def trace(resolved: ResolvedRequest, library: ModelLibrary, device: str) -> Provenance:
    """Gather the story of a request; hashes the model file unless its hash is known (seconds if large)."""
    path = resolved.info.path
    sha256 = library.sha256(path) if path.is_file() else ""
    return Provenance(resolved, sha256, device, installed_versions())


def installed_versions() -> dict[str, Any]:
    """Versions of Sfumato, its plugins, torch and Python; reading all metadata takes some milliseconds."""
    plugins = {
        entry_point.name: entry_point.dist.version
        for entry_point in importlib_metadata.entry_points(group="sfumato")
        if entry_point.dist
    }
    return {
        "sfumato": __version__,
        "plugins": dict(sorted(plugins.items())),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
