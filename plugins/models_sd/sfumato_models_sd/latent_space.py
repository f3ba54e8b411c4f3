"""How the latents of Stable Diffusion relate to the autoencoder's, and to colours for previews."""

from __future__ import annotations

from collections.abc import Mapping

from sfumato.errors import CheckpointError
from sfumato.models import LatentFormat
from sfumato_networks.autoencoder import AutoencoderConfig
from sfumato_networks.parts import Part

SCALES = {"sd": 0.18215, "sdxl": 0.13025}
"""What the autoencoder's latents are multiplied by, by the name of the latents."""

_RGB_FACTORS = {
    "sd": (
        (0.3512, 0.2297, 0.3227),
        (0.3250, 0.4974, 0.2350),
        (-0.2829, 0.1762, 0.2721),
        (-0.2120, -0.2616, -0.7177),
    ),
    "sdxl": (
        (0.3651, 0.4232, 0.4341),
        (-0.2533, -0.0042, 0.1068),
        (0.1076, 0.1111, -0.0362),
        (-0.3165, -0.2492, -0.2188),
    ),
}
"""Colours of the latent channels, fits that circulate in the field."""
_RGB_BIAS = {"sd": (0.0, 0.0, 0.0), "sdxl": (0.1084, -0.0175, -0.0011)}


def latent_format(name: str, config: AutoencoderConfig) -> LatentFormat:
    """Sizes from the autoencoder, colours from the name of the latents."""
    return LatentFormat(
        name=name,
        channels=config.latent_channels,
        pixels_per_latent=config.downscale,
        size_multiple=config.downscale,
        rgb_factors=_RGB_FACTORS[name],
        rgb_bias=_RGB_BIAS[name],
    )


def read_scale(part: Part, metadata: Mapping[str, str], name: str) -> float:
    """From metadata of autoencoder or checkpoint, then config.json; else that of the latents ``name``."""
    stated = {**metadata, **part.header.metadata}
    scale = stated.get("sfumato.latent_scale", part.config.get("scaling_factor", SCALES[name]))
    try:
        number = float(scale)
        if number > 0:
            return number
        problem = f"it is {number}"
    except (TypeError, ValueError) as error:
        problem = str(error)
    raise CheckpointError(
        f"'{part.header.path.name}' has an unusable scale of latents.",
        why=f"{problem}.",
        hint="Get the file again, or correct scaling_factor in vae/config.json.",
    )
