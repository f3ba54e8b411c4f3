"""Qwen-Image (https://arxiv.org/abs/2508.02324): the text encoder is Qwen2.5-VL, the autoencoder Wan's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato.models import LatentFormat
from sfumato.request import RequestDefaults
from sfumato_models_diffusers.recipes.recipe import (
    PATCH,
    Prompt,
    Recipe,
    latent_mean_and_deviation,
    times,
)

if TYPE_CHECKING:
    from torch import Tensor


class QwenImage(Recipe):
    """The pipeline also keeps each token's norm under classifier-free guidance, which is left out here."""

    name = "qwen_image"
    label = "Qwen-Image"
    pipeline_class = "QwenImagePipeline"
    transformer_class = "QwenImageTransformer2DModel"
    text_length = 1024
    latents = "qwen_image"

    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> RequestDefaults:
        stretched = bool(configs.get("scheduler", {}).get("shift_terminal"))
        return RequestDefaults(
            steps=50,
            sampler="euler",
            scheduler="flow_to_terminal" if stretched else "flow",
            cfg_scale=4.0,
            width=1328,
            height=1328,
        )

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        width = config["num_attention_heads"] * config["attention_head_dim"]
        return {
            "img_in.weight": width,
            "txt_in.weight": width,
            "txt_norm.weight": config["joint_attention_dim"],
        }

    def latent_format(self, pipeline: Any) -> LatentFormat:
        side = pipeline.vae_scale_factor
        channels = pipeline.vae.config.z_dim
        return LatentFormat(channels, side, side * PATCH, name=self.latents)

    def encode_prompt(self, pipeline: Any, text: str, length: int, *, is_negative: bool) -> Prompt:
        # The mask of a single prompt has nothing to hide.
        return (pipeline.encode_prompt(text, max_sequence_length=length)[0],)

    def velocity(self, pipeline: Any, x: Tensor, sigma: float, prompt: Prompt) -> Tensor:
        b, c, h, w = x.shape
        side = pipeline.vae_scale_factor
        tokens = pipeline.transformer(
            hidden_states=pipeline._pack_latents(x.contiguous(), b, c, h, w),
            timestep=times(x, sigma).to(x.dtype),
            encoder_hidden_states=prompt[0],
            encoder_hidden_states_mask=None,
            img_shapes=[[(1, h // PATCH, w // PATCH)]] * b,
            return_dict=False,
        )[0]
        frames: Tensor = pipeline._unpack_latents(tokens, h * side, w * side, side)
        return frames[:, :, 0]

    def decode(self, pipeline: Any, latents: Tensor) -> Tensor:
        vae = pipeline.vae
        mean, deviation = latent_mean_and_deviation(vae.config.latents_mean, vae.config.latents_std, latents)
        frames: Tensor = (latents * deviation + mean).to(vae.dtype)[:, :, None]
        pixels: Tensor = vae.decode(frames, return_dict=False)[0]
        return pixels[:, :, 0]

    def encode(self, pipeline: Any, pixels: Tensor) -> Tensor:
        vae = pipeline.vae
        raw = vae.encode(pixels.to(vae.dtype)[:, :, None]).latent_dist.mode()[:, :, 0].float()
        mean, deviation = latent_mean_and_deviation(vae.config.latents_mean, vae.config.latents_std, raw)
        latents: Tensor = (raw - mean) / deviation
        return latents
