"""The names that adapters may call the layers of a Stable Diffusion model by: their own and diffusers'."""

from __future__ import annotations

from torch import nn

from sfumato.models import LayerTarget
from sfumato_models_sd.diffusers_keys import diffusers_names
from sfumato_models_sd.unet import UNet
from sfumato_networks.clip_text import layers_with_weights


def own_layers(network: nn.Module) -> dict[str, LayerTarget]:
    """Every layer with a weight, by the path it lies at."""
    return {name: LayerTarget(name) for name in layers_with_weights(network)}


def unet_layers(unet: UNet) -> dict[str, LayerTarget]:
    """By LDM's names and by diffusers'."""
    own = own_layers(unet)
    theirs = {
        new.removesuffix(".weight"): own[old.removesuffix(".weight")]
        for old, new in diffusers_names(unet.config).items()
        if old.endswith(".weight")
    }
    return theirs | own
