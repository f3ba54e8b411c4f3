"""Adapters written for tests, in the names that trainers give them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sfumato.models import LoadedModel
from sfumato_adapters.reading import ReadAdapter, read_adapter

PATH = Path("style.safetensors")


def random(name: str, *shape: int) -> Tensor:
    """The same numbers for the same name and shape."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(shape, generator=generator)


def lora_of(
    layers: Mapping[str, tuple[int, int]], rank: int = 2, alpha: float | None = 1.0, names: str = "kohya"
) -> dict[str, Tensor]:
    """LoRA for layers of (outputs, inputs), by the stem of their names."""
    down, up = {
        "kohya": ("lora_down.weight", "lora_up.weight"),
        "peft": ("lora_A.weight", "lora_B.weight"),
        "diffusers": ("lora.down.weight", "lora.up.weight"),
    }[names]
    tensors = {}
    for stem, (outputs, inputs) in layers.items():
        tensors[f"{stem}.{down}"] = random(f"{stem} down", rank, inputs)
        tensors[f"{stem}.{up}"] = random(f"{stem} up", outputs, rank)
        if alpha is not None:
            tensors[f"{stem}.alpha"] = torch.tensor(alpha)
    return tensors


def read(
    model: LoadedModel, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> ReadAdapter:
    return read_adapter(PATH, tensors, metadata or {}, model)


def changed_weights(model: LoadedModel, adapter: ReadAdapter) -> dict[tuple[str, str, str], Tensor]:
    """The parameters that an adapter changes, as they become: by part, layer and parameter."""
    found: dict[tuple[str, str, str], Tensor] = {}
    for change in adapter.changes:
        module = model.networks[change.part].get_submodule(change.target.layer)
        place = (change.part, change.target.layer, change.parameter)
        original = getattr(module, change.parameter).detach()
        rows = slice(*change.target.rows) if change.target.rows else slice(None)
        changed = found.setdefault(place, original.clone().float())
        changed[rows] += change.delta(original[rows])
    return found


def linear_layers(network: nn.Module, names: Iterable[str] | None = None) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of a network's linear layers, by their paths."""
    return {
        path: (module.out_features, module.in_features)
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear) and (names is None or path in names)
    }
