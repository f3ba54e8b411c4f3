"""Flux.2 Klein: Qwen3 reads the prompt; latents are patches, normed by the autoencoder's own statistics."""

from __future__ import annotations

import math
import re
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


_ORIGINAL = (  # by Black Forest Labs' names
    (r"transformer_blocks\.(\d+)\.attn\.to_([qkv])", r"double_blocks.\1.img_attn.\2"),
    (r"transformer_blocks\.(\d+)\.attn\.add_([qkv])_proj", r"double_blocks.\1.txt_attn.\2"),
    (r"transformer_blocks\.(\d+)\.attn\.to_out\.0", r"double_blocks.\1.img_attn.proj"),
    (r"transformer_blocks\.(\d+)\.attn\.to_add_out", r"double_blocks.\1.txt_attn.proj"),
    (r"transformer_blocks\.(\d+)\.ff\.linear_in", r"double_blocks.\1.img_mlp.0"),
    (r"transformer_blocks\.(\d+)\.ff\.linear_out", r"double_blocks.\1.img_mlp.2"),
    (r"transformer_blocks\.(\d+)\.ff_context\.linear_in", r"double_blocks.\1.txt_mlp.0"),
    (r"transformer_blocks\.(\d+)\.ff_context\.linear_out", r"double_blocks.\1.txt_mlp.2"),
    (r"single_transformer_blocks\.(\d+)\.attn\.to_qkv_mlp_proj", r"single_blocks.\1.linear1"),
    (r"single_transformer_blocks\.(\d+)\.attn\.to_out", r"single_blocks.\1.linear2"),
    (r"(double|single)_stream_modulation(\w*)\.linear", r"\1_stream_modulation\2.lin"),
    (r"time_guidance_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
    (r"time_guidance_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
    (r"x_embedder", "img_in"),
    (r"context_embedder", "txt_in"),
    (r"proj_out", "final_layer.linear"),
)


class Flux2Klein(Recipe):
    """The distilled models and the base ones."""

    name = "flux2_klein"
    label = "Flux.2 Klein"
    pipeline_class = "Flux2KleinPipeline"
    transformer_class = "Flux2Transformer2DModel"
    latents = "flux2"

    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> RequestDefaults:
        distilled = bool(configs.get("", {}).get("is_distilled"))
        steps, cfg_scale = (4, 1.0) if distilled else (50, 4.0)
        return RequestDefaults(steps=steps, sampler="euler", scheduler="flow", cfg_scale=cfg_scale)

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        width = config["num_attention_heads"] * config["attention_head_dim"]
        return {"x_embedder.weight": width, "context_embedder.weight": width}

    def shift(self, scheduler: Mapping[str, Any], tokens: int, steps: int) -> float:
        """As fitted by its makers; the model's usual number of steps is taken, whatever the request's is."""
        if not scheduler.get("use_dynamic_shifting"):
            return super().shift(scheduler, tokens, steps)
        from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

        mu = float(compute_empirical_mu(tokens, steps))
        return mu if scheduler.get("time_shift_type") == "linear" else math.exp(mu)

    def latent_format(self, pipeline: Any) -> LatentFormat:
        side = pipeline.vae_scale_factor * PATCH
        return LatentFormat(pipeline.transformer.config.in_channels, side, side, name=self.latents)

    def encode_prompt(self, pipeline: Any, text: str, length: int, *, is_negative: bool) -> Prompt:
        states, positions = pipeline.encode_prompt(text, max_sequence_length=length)
        return states, positions

    def velocity(self, pipeline: Any, x: Tensor, sigma: float, prompt: Prompt) -> Tensor:
        tokens = pipeline.transformer(
            hidden_states=pipeline._pack_latents(x),
            timestep=times(x, sigma).to(x.dtype),
            guidance=None,
            encoder_hidden_states=prompt[0],
            txt_ids=prompt[1],
            img_ids=pipeline._prepare_latent_ids(x).to(x.device),
            return_dict=False,
        )[0]
        velocity: Tensor = tokens.transpose(1, 2).reshape(x.shape)
        return velocity

    def decode(self, pipeline: Any, latents: Tensor) -> Tensor:
        mean, deviation = self._statistics(pipeline, latents)
        raw = pipeline._unpatchify_latents(latents * deviation + mean)
        pixels: Tensor = pipeline.vae.decode(raw.to(pipeline.vae.dtype), return_dict=False)[0]
        return pixels

    def encode(self, pipeline: Any, pixels: Tensor) -> Tensor:
        vae = pipeline.vae
        raw = pipeline._patchify_latents(vae.encode(pixels.to(vae.dtype)).latent_dist.mode()).float()
        mean, deviation = self._statistics(pipeline, raw)
        latents: Tensor = (raw - mean) / deviation
        return latents

    def original_name(self, layer: str) -> str | None:
        matches = ((re.fullmatch(pattern, layer), name) for pattern, name in _ORIGINAL)
        return next((match.expand(name) for match, name in matches if match), None)

    def _statistics(self, pipeline: Any, latents: Tensor) -> tuple[Tensor, Tensor]:
        norm = pipeline.vae.bn
        deviation = (norm.running_var + pipeline.vae.config.batch_norm_eps).sqrt()
        return latent_mean_and_deviation(norm.running_mean, deviation, latents)
