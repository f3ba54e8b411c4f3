"""Sana (https://arxiv.org/abs/2410.10629): linear attention, latents of 32 pixels; Gemma 2 reads prompts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato.models import LatentFormat
from sfumato.request import RequestDefaults
from sfumato_models_diffusers.recipes.recipe import Prompt, Recipe, times

if TYPE_CHECKING:
    from torch import Tensor


class Sana(Recipe):
    """Sana and Sana 1.5; instructions of the pipeline stand before prompts, but for negative ones."""

    name = "sana"
    label = "Sana"
    pipeline_class = "SanaPipeline"
    transformer_class = "SanaTransformer2DModel"
    text_length = 300
    latents = "sana"

    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> RequestDefaults:
        return RequestDefaults(steps=20, sampler="euler", scheduler="flow", cfg_scale=4.5)

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        width = config["num_attention_heads"] * config["attention_head_dim"]
        return {"patch_embed.proj.weight": width, "caption_projection.linear_1.weight": width}

    def shift(self, scheduler: Mapping[str, Any], tokens: int, steps: int) -> float:
        """Its folders name a multistep solver, which has another word for it."""
        return float(scheduler.get("flow_shift") or scheduler.get("shift", 1.0))

    def latent_format(self, pipeline: Any) -> LatentFormat:
        side = pipeline.vae_scale_factor
        return LatentFormat(pipeline.vae.config.latent_channels, side, side, name=self.latents)

    def encode_prompt(self, pipeline: Any, text: str, length: int, *, is_negative: bool) -> Prompt:
        instruction = inspect.signature(type(pipeline).__call__).parameters["complex_human_instruction"]
        states, mask, _, _ = pipeline.encode_prompt(
            text,
            do_classifier_free_guidance=False,
            max_sequence_length=length,
            complex_human_instruction=None if is_negative else instruction.default,
        )
        return states, mask

    def velocity(self, pipeline: Any, x: Tensor, sigma: float, prompt: Prompt) -> Tensor:
        config = pipeline.transformer.config
        velocity: Tensor = pipeline.transformer(
            x,
            encoder_hidden_states=prompt[0],
            encoder_attention_mask=prompt[1],
            timestep=1000 * config.timestep_scale * times(x, sigma),
            return_dict=False,
        )[0]
        return velocity[:, : x.shape[1]]  # some models tell a variance too

    def decode(self, pipeline: Any, latents: Tensor) -> Tensor:
        vae = pipeline.vae
        pixels: Tensor = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0]
        return pixels

    def encode(self, pipeline: Any, pixels: Tensor) -> Tensor:
        vae = pipeline.vae
        latents: Tensor = vae.encode(pixels.to(vae.dtype), return_dict=False)[0].float()
        return latents * vae.config.scaling_factor
