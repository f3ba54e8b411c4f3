"""Lumina-Image 2.0 (https://arxiv.org/abs/2503.21758): one stream for both; Gemma 2 reads the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato.request import RequestDefaults
from sfumato_models_diffusers.recipes.recipe import Prompt, Recipe, times

if TYPE_CHECKING:
    from torch import Tensor


class Lumina2(Recipe):
    """The pipeline also keeps the norm under classifier-free guidance, which is left out here."""

    name = "lumina2"
    label = "Lumina-Image 2"
    pipeline_class = "Lumina2Pipeline"
    transformer_class = "Lumina2Transformer2DModel"
    text_length = 256

    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> RequestDefaults:
        return RequestDefaults(steps=30, sampler="euler", scheduler="flow", cfg_scale=4.0)

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        return {"x_embedder.weight": config["hidden_size"]}

    def encode_prompt(self, pipeline: Any, text: str, length: int, *, is_negative: bool) -> Prompt:
        if is_negative:  # the system's words stand before other prompts alone
            states, mask = pipeline._get_gemma_prompt_embeds(text, max_sequence_length=length)
            return states, mask
        states, mask, _, _ = pipeline.encode_prompt(
            text, do_classifier_free_guidance=False, max_sequence_length=length
        )
        return states, mask

    def velocity(self, pipeline: Any, x: Tensor, sigma: float, prompt: Prompt) -> Tensor:
        # It runs from noise at 0 to the picture at 1.
        signal: Tensor = pipeline.transformer(
            hidden_states=x,
            timestep=1 - times(x, sigma),
            encoder_hidden_states=prompt[0],
            encoder_attention_mask=prompt[1],
            return_dict=False,
        )[0]
        return -signal
