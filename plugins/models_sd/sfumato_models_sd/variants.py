"""The kinds of Stable Diffusion with a UNet, and what each needs and recommends. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.request import RequestDefaults
from sfumato_models_sd.config import CONTEXT_OF_2X, UNetConfig
from sfumato_models_sd.prediction import UNetPrediction
from sfumato_networks.parts import CLIP_G_TEXT, CLIP_TEXT, OPEN_CLIP_TEXT

NUMBER_FEATURES = 256
"""Sinusoids of each size or score that SDXL is told."""
BASE_NUMBERS = 6
"""Numbers that SDXL is told: original size, crop and target size, two each."""
REFINER_NUMBERS = 5
"""Numbers that its refiner is told: original size, crop, and an aesthetic score."""
INPAINT_CHANNELS = 9
"""Four of the latents, one of the mask, four of the masked picture."""
UNCLIP_LABELS = (1536, 2048)


@dataclass(frozen=True)
class Variant:
    """One kind of Stable Diffusion.

    Attributes:
        name: "sd1", "sd2", "sdxl" or "sdxl_refiner".
        texts: The width of each text encoder by kind of part, in the order in which their states are joined.
    """

    name: str
    texts: dict[str, int]
    inpaints: bool = False

    @property
    def is_xl(self) -> bool:
        return self.name.startswith("sdxl")

    @property
    def latents(self) -> str:
        return "sdxl" if self.is_xl else "sd"

    @property
    def full_name(self) -> str:
        return f"{self.name}_inpaint" if self.inpaints else self.name

    @property
    def label(self) -> str:
        names = {"sd1": "SD 1.5", "sd2": "SD 2.1", "sdxl": "SDXL", "sdxl_refiner": "SDXL refiner"}
        return names[self.name] + (" inpainting" if self.inpaints else "")

    def defaults(self, prediction: UNetPrediction, zero_snr: bool) -> RequestDefaults:
        """What the field uses; models that begin at pure noise need levels that begin there too."""
        side = 1024 if self.is_xl else 768 if self.name == "sd2" and prediction == "v" else 512
        # SDXL and SD 2 were trained on the last layer but one, which the field calls a clip skip of 2.
        clip_skip = 1 if self.name == "sd1" else 2
        steps, cfg_scale = (28, 5.0) if zero_snr else (25 if self.is_xl else 20, 7.0)
        return RequestDefaults(
            steps=steps,
            sampler="euler" if zero_snr else "dpmpp_2m",
            scheduler="sgm_uniform" if zero_snr else "karras",
            cfg_scale=cfg_scale,
            width=side,
            height=side,
            clip_skip=clip_skip,
            sampler_options={"table": "sdxl"} if self.is_xl else {},  # align_your_steps has one for each
        )


def variant_of(config: UNetConfig) -> Variant:
    """The kind that a UNet of these sizes is of.

    Raises ValueError saying what it is where that is none which can be drawn with.
    """
    inpaints = config.in_channels == INPAINT_CHANNELS
    if config.in_channels not in (4, INPAINT_CHANNELS) or config.out_channels != 4:
        other = {8: "instruct-pix2pix", 5: "a depth-to-image model"}.get(config.in_channels, "another model")
        raise ValueError(f"it takes {config.in_channels} channels and makes {config.out_channels}: {other}")
    context, label = config.context_size, config.label_size
    if not label:
        name, text = ("sd1", CLIP_TEXT) if config.heads else ("sd2", OPEN_CLIP_TEXT)
        return Variant(name, {text: context}, inpaints)
    if context == label - REFINER_NUMBERS * NUMBER_FEATURES:
        return Variant("sdxl_refiner", {CLIP_G_TEXT: context}, inpaints)
    # SDXL's pooled text is as wide as the encoder it comes from.
    second = label - BASE_NUMBERS * NUMBER_FEATURES
    if (context == CONTEXT_OF_2X and label in UNCLIP_LABELS) or not 0 < second < context:
        raise ValueError(f"it takes {label} features beside a text of {context}: unCLIP, or another model")
    return Variant("sdxl", {CLIP_TEXT: context - second, CLIP_G_TEXT: second}, inpaints)
