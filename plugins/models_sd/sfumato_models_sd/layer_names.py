"""The names that adapters may call the layers of a Stable Diffusion model by: their own and diffusers'."""

from __future__ import annotations

from sfumato.models import LayerTarget
from sfumato_models_sd.diffusers_keys import diffusers_names
from sfumato_models_sd.unet import UNet
from sfumato_networks.clip_text import own_layers


def unet_layers(unet: UNet) -> dict[str, LayerTarget]:
    """By LDM's names and by diffusers'."""
    own = own_layers(unet)
    theirs = {
        new.removesuffix(".weight"): own[old.removesuffix(".weight")]
        for old, new in diffusers_names(unet.config).items()
        if old.endswith(".weight")
    }
    return theirs | own
