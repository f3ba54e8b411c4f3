"""The names that adapters may call a Flux model's layers by: the network's own and diffusers'."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from sfumato.models import LayerTarget
from sfumato_models_flux.config import FluxConfig
from sfumato_models_flux.diffusers_keys import HALVES_SWAPPED, layers
from sfumato_networks.clip_text import own_layers


def transformer_layers(
    network: nn.Module, config: FluxConfig, approximator_layers: int = 0
) -> dict[str, LayerTarget]:
    """By the names of the original layout and by diffusers', where stacked layers have one for each piece."""
    own = own_layers(network)
    return own | {
        name: target for name, target in diffusers_layers(config, approximator_layers) if target.layer in own
    }


def diffusers_layers(config: FluxConfig, approximator_layers: int = 0) -> Iterator[tuple[str, LayerTarget]]:
    """Diffusers' names of all that a transformer of these sizes may have, and where that lies."""
    width, mlp = config.hidden_size, config.mlp_size
    for layer, names in layers(config.double_blocks, config.single_blocks, approximator_layers):
        if len(names) == 1:
            yield names[0], LayerTarget(layer, halves_swapped=names[0] == HALVES_SWAPPED)
            continue
        for place, name in enumerate(names):
            start = place * width
            yield name, LayerTarget(layer, rows=(start, start + (width if place < 3 else mlp)))
