"""How SD3's latents relate to the autoencoder's, and to colours for previews."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.models import LatentFormat
from sfumato_networks.autoencoder import AutoencoderConfig
from sfumato_networks.parts import Part

NAME = "sd3"
SCALE = 1.5305
SHIFT = 0.0609

RGB_FACTORS = (
    (-0.0922, -0.0175, 0.0749),
    (0.0311, 0.0633, 0.0954),
    (0.1994, 0.0927, 0.0458),
    (0.0856, 0.0339, 0.0902),
    (0.0587, 0.0272, -0.0496),
    (-0.0006, 0.1104, 0.0309),
    (0.0978, 0.0306, 0.0427),
    (-0.0042, 0.1038, 0.1358),
    (-0.0194, 0.0020, 0.0669),
    (-0.0488, 0.0130, -0.0268),
    (0.0922, 0.0988, 0.0951),
    (-0.0278, 0.0524, -0.0542),
    (0.0332, 0.0456, 0.0895),
    (-0.0069, -0.0030, -0.0810),
    (-0.0596, -0.0465, -0.0293),
    (-0.1448, -0.1463, -0.1189),
)
"""Colours of SD3's latent channels, a fit that circulates in the field."""
RGB_BIAS = (0.2394, 0.2135, 0.1925)


@dataclass(frozen=True)
class LatentScaling:
    """``model latents = (autoencoder latents - shift) * scale``."""

    scale: float = SCALE
    shift: float = SHIFT

    def to_model(self, latents: Tensor) -> Tensor:
        return (latents - self.shift) * self.scale

    def to_autoencoder(self, latents: Tensor) -> Tensor:
        return latents / self.scale + self.shift


def read_scaling(part: Part) -> LatentScaling:
    """From the autoencoder's config.json where it has one; else SD3's values."""
    try:
        scale = float(part.config.get("scaling_factor", SCALE))
        shift = float(part.config.get("shift_factor", SHIFT) or 0.0)
        if scale == 0:
            raise ValueError("the scale is 0")
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"'{part.header.path.name}' has an unusable {part.prefix}config.json.",
            why=f"Of scaling_factor and shift_factor: {error}.",
            hint="Get the folder again.",
        ) from error
    return LatentScaling(scale, shift)


def latent_format(config: AutoencoderConfig, scaling: LatentScaling, patch: int) -> LatentFormat:
    """Sizes from the autoencoder; a name and preview colours where it is SD3's."""
    is_sd3 = config == AutoencoderConfig() and scaling == LatentScaling()
    return LatentFormat(
        channels=config.latent_channels,
        pixels_per_latent=config.downscale,
        size_multiple=config.downscale * patch,
        rgb_factors=RGB_FACTORS if is_sd3 else (),
        rgb_bias=RGB_BIAS if is_sd3 else (0.0, 0.0, 0.0),
        name=NAME if is_sd3 else "",
    )
