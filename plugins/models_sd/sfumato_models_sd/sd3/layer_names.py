"""The names that adapters may call an SD3 transformer's layers by: the network's own and diffusers'."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from sfumato.models import LayerTarget
from sfumato_models_sd.sd3.config import Sd3Config
from sfumato_models_sd.sd3.diffusers_keys import layers
from sfumato_networks.clip_text import own_layers


def transformer_layers(network: nn.Module, config: Sd3Config) -> dict[str, LayerTarget]:
    """By the names of the original layout and by diffusers', where stacked layers have one for each piece."""
    own = own_layers(network)
    return {name: target for name, target in _diffusers_layers(config) if target.layer in own} | own


def _diffusers_layers(config: Sd3Config) -> Iterator[tuple[str, LayerTarget]]:
    """Diffusers' names of all that a transformer of these sizes may have, and where that lies."""
    width = config.hidden_size
    for layer, source in layers(config.blocks):
        if len(source.names) == 1:
            yield source.names[0], LayerTarget(layer, halves_swapped=source.halves_swapped)
            continue
        for place, name in enumerate(source.names):
            yield name, LayerTarget(layer, rows=(place * width, (place + 1) * width))
