"""AuraFlow, which Pony V7 is made from: UMT5 reads the prompt, the autoencoder is Stable Diffusion XL's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato.request import RequestDefaults
from sfumato_models_diffusers.recipes.recipe import Prompt, Recipe, times

if TYPE_CHECKING:
    from torch import Tensor


class AuraFlow(Recipe):
    """AuraFlow 0.1 to 0.3 and models made from them."""

    name = "aura_flow"
    label = "AuraFlow"
    pipeline_class = "AuraFlowPipeline"
    transformer_class = "AuraFlowTransformer2DModel"
    text_length = 256

    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> RequestDefaults:
        return RequestDefaults(steps=50, sampler="euler", scheduler="flow", cfg_scale=3.5)

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        width = config["num_attention_heads"] * config["attention_head_dim"]
        return {"pos_embed.proj.weight": width, "context_embedder.weight": config["caption_projection_dim"]}

    def encode_prompt(self, pipeline: Any, text: str, length: int, *, is_negative: bool) -> Prompt:
        encoded = pipeline.encode_prompt(text, do_classifier_free_guidance=False, max_sequence_length=length)
        return (encoded[0],)

    def velocity(self, pipeline: Any, x: Tensor, sigma: float, prompt: Prompt) -> Tensor:
        velocity: Tensor = pipeline.transformer(
            x,
            encoder_hidden_states=prompt[0],
            timestep=times(x, sigma).to(x.dtype),
            return_dict=False,
        )[0]
        return velocity
