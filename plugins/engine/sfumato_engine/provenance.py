"""How a picture came to be: the fields of its infotext and the JSON stored beside it."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import importlib_metadata
import torch

from sfumato import __version__
from sfumato.library import ModelLibrary
from sfumato.models import ModelInfo
from sfumato_engine import infotext
from sfumato_engine.option_roles import infotext_fields
from sfumato_engine.resolution import ResolvedRequest

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the JSON's shape."""

SHORT_HASH = 10

AUTOENCODER = "autoencoder"
TOKENIZER = "tokenizer"
"""Kinds of parts that infotexts treat apart; tokenizers' kinds end so."""

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
    """What is the same for every picture of a request.

    Attributes:
        sha256: By file, those of all parts; empty for files that could not be read.
        parts: The files of each part of the model, by kind.
    """

    resolved: ResolvedRequest
    sha256: Mapping[Path, str]
    parts: Mapping[str, Sequence[Path]]
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
            "Model hash": self._short_hash(self.resolved.info.path),
            "Model": self.resolved.info.name,
            **self._part_fields(),
            "RNG": "CPU",
            **infotext_fields(
                self.resolved.family.options, self.resolved.info.variant, self.resolved.model_options
            ),
            **self._option_fields(),
            "Version": f"sfumato {__version__}",
        }
        return infotext.write(request.prompt, request.negative_prompt, fields)

    def _part_fields(self) -> dict[str, Any]:
        """Parts that the checkpoint does not hold, as A1111 (only the VAE) and Forge name them."""
        outside = {
            kind: self.parts[kind][0]
            for kind in self.resolved.info.missing_parts
            if self.parts.get(kind) and not kind.endswith(TOKENIZER)
        }
        fields: dict[str, Any] = {
            f"Module {number}": path.stem for number, path in enumerate(outside.values(), 1)
        }
        if AUTOENCODER in outside:
            vae = outside[AUTOENCODER]
            fields |= {"VAE hash": self._short_hash(vae), "VAE": vae.name}
        return fields

    def _short_hash(self, path: Path) -> str | None:
        return self.sha256.get(path, "")[:SHORT_HASH] or None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be found out."""
        return tuple(
            f"'{path.name}' could not be read for its hash; the pictures are saved without it."
            for path, sha256 in self.sha256.items()
            if not sha256
        )

    def _option_fields(self) -> dict[str, Any]:
        """Sampler and scheduler options that differ from their defaults."""
        changed = self.resolved.request.sampler_options
        return {OPTION_KEYS.get(name, name.replace("_", " ").capitalize()): changed[name] for name in changed}

    def json(self, seed: int) -> str:
        """The whole story in ASCII JSON: the resolved request, the model and all versions."""
        info = self.resolved.info
        story = {
            "format": FORMAT,
            "request": self.resolved.request.model_dump(mode="json"),
            "seed": seed,
            "model": {**_model(info), "sha256": self.sha256.get(info.path, "")},
            "parts": {
                kind: [{"file": path.name, "sha256": self.sha256[path]} for path in files]
                for kind, files in self.parts.items()
            },
            "device": self.device,
            "versions": dict(self.versions),
        }
        return json.dumps(story)


def _model(info: ModelInfo) -> dict[str, str]:
    return {"name": info.name, "family": info.family, "variant": info.variant, "file": info.path.name}


def trace(
    resolved: ResolvedRequest, library: ModelLibrary, parts: Mapping[str, Sequence[Path]], device: str
) -> Provenance:
    """Gather the story of a request; hashes the parts' files unless their hashes are known (seconds each).

    Args:
        parts: The files of each part of the model, by kind.
        device: As people know it.
    """
    files = dict.fromkeys(path for files in parts.values() for path in files)
    sha256 = {path: _sha256(library, path) for path in files}
    return Provenance(resolved, sha256, parts, device, installed_versions())


def _sha256(library: ModelLibrary, path: Path) -> str:
    """Empty where the file cannot be read: that is no reason to lose a picture."""
    try:
        return library.sha256(path)
    except OSError as error:
        log.warning("No hash of %s: %s", path, error)
        return ""


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
