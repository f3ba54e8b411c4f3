"""How a picture came to be: the fields of its infotext and the JSON stored beside it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfumato import __version__
from sfumato.library import ModelLibrary
from sfumato.models import ModelInfo
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato.upscaling import find_upscaler
from sfumato_engine.device import device_label
from sfumato_engine.infotext_fields import OWN_VERSION, option_fields, request_fields, stage_fields
from sfumato_engine.option_roles import infotext_fields, part_dtypes
from sfumato_engine.preparation import Prepared
from sfumato_engine.replay.environment import environment
from sfumato_engine.replay.story import FORMAT
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.settings import EngineSettings
from sfumato_pictures import infotext

log = logging.getLogger(__name__)

SHORT_HASH = 10

AUTOENCODER = "autoencoder"
TOKENIZER = "tokenizer"
"""Kinds of parts that infotexts treat apart; tokenizers' kinds end so."""


@dataclass(frozen=True)
class Provenance:
    """What is the same for every picture of a request.

    Attributes:
        sha256: By file, those of all parts; empty for files that could not be read.
        parts: The files of each part of the model, by kind.
        environment: See `sfumato_engine.replay.environment`.
        adapters: The files of adapters and learned words, by the name that prompts use.
        inputs: The pictures and masks that it was made from, by request field.
        added: Fields of the infotext that adapters bring.
        upscaler: The label of what enlarges for the hires pass.
    """

    resolved: ResolvedRequest
    sha256: Mapping[Path, str]
    parts: Mapping[str, Sequence[Path]]
    environment: Mapping[str, Any]
    adapters: Mapping[str, Path] = field(default_factory=dict)
    inputs: Mapping[str, Path] = field(default_factory=dict)
    added: Mapping[str, Any] = field(default_factory=dict)
    upscaler: str = ""

    def infotext(self, seed: int, variation_seed: int | None = None) -> str:
        """The A1111 text of the picture made with these seeds."""
        request = self._request_of(variation_seed)
        labels = {stage.entry.info.name: stage.entry.info.label for stage in self.resolved.stages}
        fields = {
            "Steps": request.steps,
            "Sampler": self.resolved.sampler.info.label,
            "Schedule type": self.resolved.scheduler.info.label,
            "CFG scale": request.cfg_scale,
            "Seed": seed,
            "Size": f"{request.width}x{request.height}",
            "Model hash": self.model_hash,
            "Model": self.resolved.info.name,
            **self._part_fields(),
            **infotext_fields(
                self.resolved.family.options, self.resolved.info.variant, self.resolved.model_options
            ),
            **request_fields(request),
            **option_fields(request.sampler_options),
            **stage_fields(labels, request.stages),
            **self._other_models(),
            **self.added,
            "Version": f"{OWN_VERSION}{__version__}",
        }
        return infotext.write(request.prompt, request.negative_prompt, fields)

    def _request_of(self, variation_seed: int | None) -> GenerationRequest:
        """The request with the picture's own variation seed in it."""
        request = self.resolved.request
        if variation_seed is None:
            return request
        return request.model_copy(update={"variation_seed": variation_seed})

    def _part_fields(self) -> dict[str, Any]:
        """Parts that the checkpoint does not hold, as A1111 (only the VAE) and Forge name them."""
        outside = {
            kind: self.parts[kind][0]
            for kind in dict.fromkeys([*self.resolved.info.missing_parts, *self.resolved.request.parts])
            if self.parts.get(kind) and not kind.endswith(TOKENIZER)
        }
        fields: dict[str, Any] = {
            f"Module {number}": path.stem for number, path in enumerate(outside.values(), 1)
        }
        if AUTOENCODER in outside:
            vae = outside[AUTOENCODER]
            fields |= {"VAE hash": self._short_hash(vae), "VAE": vae.name}
        return fields

    def _other_models(self) -> dict[str, Any]:
        """The models and methods of further passes, as A1111 writes them: name [hash], and labels."""
        hires = self.resolved.hires
        refiner = (hires or self.resolved).refiner
        asked = self.resolved.request.hires
        fields: dict[str, Any] = {"Hires upscaler": self.upscaler} if asked and self.upscaler else {}
        if hires and asked and asked.sampler:
            fields["Hires sampler"] = hires.sampler.info.label
        if hires and asked and asked.scheduler:
            fields["Hires schedule type"] = hires.scheduler.info.label
        models = {
            "Hires checkpoint": hires.info if hires and asked and asked.model else None,
            "Refiner": refiner.info if refiner else None,
        }
        return fields | {key: self._named_with_hash(info) for key, info in models.items() if info}

    def _named_with_hash(self, info: ModelInfo) -> str:
        short = self._short_hash(info.path)
        return f"{info.name} [{short}]" if short else info.name

    @property
    def model_hash(self) -> str | None:
        """The beginning of the checkpoint's hash; None where it is a folder or could not be read."""
        return self._short_hash(self.resolved.info.path)

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

    def json(self, seed: int, variation_seed: int | None = None) -> str:
        """The whole story in ASCII JSON: the resolved request, the model and its surroundings."""
        info, request = self.resolved.info, self.resolved.request
        if variation_seed is None and request.variation_strength:
            variation_seed = request.variation_seed
        story = {
            "format": FORMAT,
            "request": request.model_dump(mode="json"),
            "seed": seed,
            "variation_seed": variation_seed,
            "model": {**_model(info), **self._file(info.path)},
            "parts": {
                kind: [{"file": path.name, **self._file(path)} for path in files]
                for kind, files in self.parts.items()
            },
            "models": [{**_model(one.info), **self._file(one.info.path)} for one in self.resolved.passes[1:]],
            "adapters": [{"name": name, **self._named(path)} for name, path in self.adapters.items()],
            "inputs": {name: self._named(path) for name, path in self.inputs.items()},
            "environment": dict(self.environment),
        }
        return json.dumps(story)

    def _named(self, path: Path) -> dict[str, Any]:
        return {"file": path.name, **self._file(path)}

    def _file(self, path: Path) -> dict[str, Any]:
        return {"sha256": self.sha256.get(path, ""), "size": _size(path)}


def _model(info: ModelInfo) -> dict[str, str]:
    return {"name": info.name, "family": info.family, "variant": info.variant, "file": info.path.name}


def _size(path: Path) -> int:
    """Bytes of a file: who looks for a renamed one need not hash files of other sizes. 0 if there is none."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def trace(resolved: ResolvedRequest, prepared: Prepared, context: TaskContext) -> Provenance:
    """Gather the story of a request; hashes the parts' files unless their hashes are known (seconds each).

    Args:
        prepared: With the files that were found for it.
        context: Where the request is carried out.
    """
    parts, device = prepared.first.model.files, device_label(prepared.first.model.device)
    adapters = {
        name: path for one in prepared.passes for each in one.adapters for name, path in each.files.items()
    }
    adapters |= {found.name: found.path for one in prepared.passes for found in one.embeddings}
    inputs = input_files(resolved.request)
    others = [one.info.path for one in resolved.passes[1:] if one.info.path.is_file()]
    of_parts = [path for files in parts.values() for path in files]
    files = dict.fromkeys([*of_parts, *others, *adapters.values(), *inputs.values()])
    sha256 = {path: _sha256(context.library, path) for path in files}
    environment = _environment(resolved, device, context)
    hires = resolved.request.hires
    upscaler = find_upscaler(hires.upscaler, context.registries, context.library).label if hires else ""
    return Provenance(resolved, sha256, parts, environment, adapters, inputs, prepared.infotext, upscaler)


def input_files(request: GenerationRequest) -> dict[str, Path]:
    """The pictures and masks that a request names, by field."""
    files = {f"regions.{number}": path for number, path in enumerate(request.regions)}
    if request.img2img:
        files["img2img.image"] = request.img2img.image
    if request.inpaint:
        files["inpaint.mask"] = request.inpaint.mask
    return files


def _environment(resolved: ResolvedRequest, device: str, context: TaskContext) -> dict[str, Any]:
    settings: EngineSettings = context.settings.engine
    types = {"default": settings.dtype, **part_dtypes(resolved.family.options, resolved.model_options)}
    brought = {
        "sampler": resolved.sampler.plugin,
        "scheduler": resolved.scheduler.plugin,
        "family": context.registries.model_families.get(resolved.info.family).plugin,
        **{f"stage {stage.entry.info.name}": stage.entry.plugin for stage in resolved.stages},
    }
    return environment(device, types, settings.cfg_batching, brought)


def _sha256(library: ModelLibrary, path: Path) -> str:
    """Empty where the file cannot be read: that is no reason to lose a picture."""
    try:
        return library.sha256(path)
    except OSError as error:
        log.warning("No hash of %s: %s", path, error)
        return ""
