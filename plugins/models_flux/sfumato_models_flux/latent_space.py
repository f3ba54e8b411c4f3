"""How Flux's latents relate to the autoencoder's, and to colours for previews."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.models import LatentFormat
from sfumato_networks.autoencoder import AutoencoderConfig
from sfumato_networks.parts import Part

SCALE = 0.3611
SHIFT = 0.1159
NAME = "flux"
"""Of the latents that all Flux.1 models share."""
PATCH = 2
"""Latent positions along each side that make up one token."""

RGB_FACTORS = (
    (-0.0346, 0.0244, 0.0681),
    (0.0034, 0.0210, 0.0687),
    (0.0275, -0.0668, -0.0433),
    (-0.0174, 0.0160, 0.0617),
    (0.0859, 0.0721, 0.0329),
    (0.0004, 0.0383, 0.0115),
    (0.0405, 0.0861, 0.0915),
    (-0.0236, -0.0185, -0.0259),
    (-0.0245, 0.0250, 0.1180),
    (0.1008, 0.0755, -0.0421),
    (-0.0515, 0.0201, 0.0011),
    (0.0428, -0.0012, -0.0036),
    (0.0817, 0.0765, 0.0749),
    (-0.1264, -0.0522, -0.1103),
    (-0.0280, -0.0881, -0.0499),
    (-0.1262, -0.0982, -0.0778),
)
"""Colours of Flux.1's latent channels, a fit that circulates in the field."""
RGB_BIAS = (-0.0329, -0.0718, -0.0851)


@dataclass(frozen=True)
class LatentScaling:
    """``model latents = (autoencoder latents - shift) * scale``."""

    scale: float = SCALE
    shift: float = SHIFT

    def to_model(self, latents: Tensor) -> Tensor:
        return (latents - self.shift) * self.scale

    def to_autoencoder(self, latents: Tensor) -> Tensor:
        return latents / self.scale + self.shift


def read_scaling(part: Part, metadata: Mapping[str, str]) -> LatentScaling:
    """From the metadata of the autoencoder, then the checkpoint, then config.json; else Flux.1's values."""
    stated = {**metadata, **part.header.metadata}
    scale = stated.get("sfumato.latent_scale", part.config.get("scaling_factor", SCALE))
    shift = stated.get("sfumato.latent_shift", part.config.get("shift_factor", SHIFT))
    try:
        scaling = LatentScaling(float(scale), float(shift or 0.0))
    except (TypeError, ValueError) as error:
        raise _bad_metadata(part, "latent_scale or latent_shift", error) from error
    if scaling.scale == 0:
        raise _bad_metadata(part, "latent_scale", ValueError("it is 0"))
    return scaling


def latent_format(part: Part, config: AutoencoderConfig, metadata: Mapping[str, str]) -> LatentFormat:
    """Sizes from the autoencoder; preview colours from the metadata, or Flux.1's where its sizes are."""
    factors, bias = _read_colours(part, {**metadata, **part.header.metadata}, config.latent_channels)
    has_its_sizes = config == AutoencoderConfig()
    if not factors and has_its_sizes:
        factors, bias = RGB_FACTORS, RGB_BIAS
    return LatentFormat(
        channels=config.latent_channels,
        pixels_per_latent=config.downscale,
        size_multiple=config.downscale * PATCH,
        rgb_factors=factors,
        rgb_bias=bias,
        name=NAME if has_its_sizes and read_scaling(part, metadata) == LatentScaling() else "",
    )


Colour = tuple[float, float, float]


def _read_colours(
    part: Part, metadata: Mapping[str, str], channels: int
) -> tuple[tuple[Colour, ...], Colour]:
    text = metadata.get("sfumato.latent_rgb")
    if text is None:
        return (), (0.0, 0.0, 0.0)
    try:
        stated = json.loads(text)
        factors = tuple(_colour(row) for row in stated["factors"])
        if len(factors) != channels:
            raise ValueError(f"{len(factors)} rows for {channels} channels")
        return factors, _colour(stated["bias"])
    except (KeyError, TypeError, ValueError) as error:
        raise _bad_metadata(part, "latent_rgb", error) from error


def _colour(values: list[float]) -> Colour:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _bad_metadata(part: Part, name: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"'{part.header.path.name}' has unusable metadata: sfumato.{name}.",
        why=f"{error}.",
        hint="Get the file again.",
    )
