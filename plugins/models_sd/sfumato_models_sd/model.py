"""A loaded Stable Diffusion model: what the engine drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.errors import BadInput
from sfumato.models import LatentFormat, LayerTarget, ModelInfo, PromptText
from sfumato.noise_schedule import NoiseSchedule
from sfumato_models_sd.conditioning import PromptEncoder, SdConditioning, label, numbers
from sfumato_models_sd.layer_names import unet_layers
from sfumato_models_sd.masked_picture import blank_picture, masked_picture
from sfumato_models_sd.memory import peak_values
from sfumato_models_sd.options import SdOptions
from sfumato_models_sd.schedule import timestep, trained_schedule
from sfumato_models_sd.stored_unet import UNET
from sfumato_models_sd.unet import UNet
from sfumato_models_sd.variants import Variant
from sfumato_networks.autoencoder import Autoencoder
from sfumato_networks.clip_text import own_layers
from sfumato_networks.parts import AUTOENCODER
from sfumato_networks.prompt_batches import Stacked, each_alike


class SdModel:
    """Stable Diffusion 1.x, 2.x, XL and its refiner; fulfils `sfumato.models.LoadedModel`.

    Wherever options are taken, either a mapping is given, which is completed by the model's own preferences
    and checked once, or `SdOptions`, which are taken as they are.
    """

    def __init__(
        self,
        info: ModelInfo,
        variant: Variant,
        unet: UNet,
        autoencoder: Autoencoder,
        prompts: PromptEncoder,
        latent_format: LatentFormat,
        scale: float,
        files: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    ) -> None:
        self.info = info
        self.variant = variant
        self.unet = unet
        self.autoencoder = autoencoder
        self.prompts = prompts
        self.latent_format = latent_format
        self.scale = scale
        self.files = files
        self.device = str(unet.device)
        texts = {each.kind: each.clip for each in prompts.texts}
        self.networks: Mapping[str, nn.Module] = {UNET: unet, **texts, AUTOENCODER: autoencoder}
        self._schedules = {zero_snr: trained_schedule(zero_snr) for zero_snr in (False, True)}
        self._checked: tuple[Mapping[str, Any], SdOptions] | None = None
        self._stacked = Stacked[SdConditioning](lambda prompt: prompt.tensors)
        self._blank: Tensor | None = None

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        """By LDM's and diffusers' names for the UNet, OpenCLIP's and transformers' for text encoders."""
        if part == UNET:
            return unet_layers(self.unet)
        for text in self.prompts.texts:
            if text.kind == part:
                return text.clip.layer_names()
        return own_layers(self.autoencoder) if part == AUTOENCODER else {}

    def noise_schedule(
        self, width: int, height: int, options: Mapping[str, Any] | SdOptions
    ) -> NoiseSchedule:
        """The 1000 levels of training; with zero terminal SNR where the options ask for it."""
        return self._schedules[self._options(options).zero_snr]

    @torch.no_grad()
    def condition(self, text: PromptText, options: Mapping[str, Any] | SdOptions) -> SdConditioning:
        """Encode one prompt; see `PromptEncoder`."""
        zero = self._options(options).zero_empty_negative
        encoded = self.prompts.encode(text, zero_empty_negative=zero)
        pooled = None if encoded.pooled is None else encoded.pooled.to(self._dtype)
        return SdConditioning(encoded.context.to(self._dtype), pooled, encoded.is_negative, encoded.notes)

    @torch.no_grad()
    def see(self, pixels: Tensor, mask: Tensor) -> Tensor:
        """Mask and latents of the picture [1, 5, h, w]; raises `BadInput` for models that see none."""
        if not self.variant.inpaints:
            raise BadInput(
                f"'{self.info.name}' draws from a prompt alone: it sees no picture.",
                hint="Choose an inpainting model; its UNet takes 9 channels.",
            )
        return masked_picture(pixels.to(self.device), mask.to(self.device), self.encode)

    @torch.no_grad()
    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[SdConditioning],
        options: Mapping[str, Any] | SdOptions,
        *,
        picture: Tensor | None = None,
    ) -> Tensor:
        """The clean estimate of latents x [b, 4, h, w] at noise level ``sigma``.

        Without a ``picture`` an inpainting model paints all of it anew.
        """
        checked = self._options(options)
        variance = sigma * sigma + 1

        def evaluate(x: Tensor, prompts: Sequence[SdConditioning]) -> Tensor:
            return self._predict(x, sigma, prompts, checked, picture)

        output = each_alike(x / variance**0.5, conditioning, lambda prompt: prompt.context.shape[1], evaluate)
        if self._predicts_velocity(checked):
            return x / variance - output * (sigma / variance**0.5)
        return x - sigma * output

    def _predict(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[SdConditioning],
        options: SdOptions,
        picture: Tensor | None,
    ) -> Tensor:
        """What the UNet makes of latents scaled to unit variance, and prompts of one length."""
        b, _, h, w = x.shape
        context, *pooled = self._stacked(conditioning)
        vector = None
        if pooled:
            side = self.latent_format.pixels_per_latent
            rows = [
                numbers(self.variant, w * side, h * side, options, is_negative=each.is_negative)
                for each in conditioning
            ]
            vector = label(pooled[0], rows)
        taken = x
        if self.variant.inpaints:
            seen = self._blank_picture(h, w) if picture is None else picture
            taken = torch.cat((x, seen.to(x).expand(b, -1, -1, -1)), dim=1)
        step = timestep(self._schedules[options.zero_snr], sigma)
        times = torch.full((b,), step, device=x.device)
        return self.unet(taken.to(context.dtype), times, context, vector).to(x.dtype)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [b, 4, h, w] to pixels [b, 3, H, W] in 0..1, float32."""
        return self.autoencoder.decode_pixels(latents.float() / self.scale)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [b, 3, H, W] in 0..1 to latents [b, 4, h, w], float32: the mean of their distribution."""
        return self.autoencoder.encode_pixels(pixels) * self.scale

    def sampling_memory(
        self, width: int, height: int, batch_size: int, options: Mapping[str, Any] | SdOptions
    ) -> int:
        """Bytes at the peak of the UNet: kept maps, and one layer's intermediates."""
        side = self.latent_format.pixels_per_latent
        latents = (width // side) * (height // side)
        return batch_size * self._dtype.itemsize * peak_values(self.unet.config, latents)

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        """Bytes at the peak of the decoder: its last level."""
        return self.autoencoder.decoding_memory(width, height, batch_size)

    def _options(self, options: Mapping[str, Any] | SdOptions) -> SdOptions:
        if isinstance(options, SdOptions):
            return options
        if self._checked is None or self._checked[0] is not options:
            self._checked = (options, SdOptions.model_validate({**self.info.options, **options}))
        return self._checked[1]

    def _predicts_velocity(self, options: SdOptions) -> bool:
        chosen = self.info.prediction if options.prediction == "auto" else options.prediction
        return chosen == "v"

    def _blank_picture(self, h: int, w: int) -> Tensor:
        if self._blank is None or self._blank.shape[-2:] != (h, w):
            side = self.latent_format.pixels_per_latent
            self._blank = blank_picture(w * side, h * side, self.encode, self.device)
        return self._blank

    @property
    def _dtype(self) -> torch.dtype:
        return self.unet.dtype
