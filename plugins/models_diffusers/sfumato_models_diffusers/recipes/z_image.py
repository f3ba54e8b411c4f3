"""Z-Image (https://arxiv.org/abs/2511.22699): one stream for text and picture; Qwen3 reads the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato.request import RequestDefaults
from sfumato_models_diffusers.recipes.recipe import Prompt, Recipe, times

if TYPE_CHECKING:
    from torch import Tensor

_TURBO_SHIFT = 3.0
"""What sets Turbo's folder apart: the scheduler of the base model has 6."""


class ZImage(Recipe):
    """Z-Image and Z-Image-Turbo. Its pipeline's guidance scale is one less than a CFG scale."""

    name = "z_image"
    label = "Z-Image"
    pipeline_class = "ZImagePipeline"
    transformer_class = "ZImageTransformer2DModel"

    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> RequestDefaults:
        turbo = configs.get("scheduler", {}).get("shift") == _TURBO_SHIFT
        steps, cfg_scale = (9, 1.0) if turbo else (50, 5.0)
        return RequestDefaults(steps=steps, sampler="euler", scheduler="flow", cfg_scale=cfg_scale)

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        width = config["dim"]
        return {"cap_embedder.1.weight": width, "layers.0.attention.to_q.weight": width}

    def encode_prompt(self, pipeline: Any, text: str, length: int, *, is_negative: bool) -> Prompt:
        encoded = pipeline.encode_prompt(
            [text], do_classifier_free_guidance=False, max_sequence_length=length
        )
        return (encoded[0][0][None],)

    def velocity(self, pipeline: Any, x: Tensor, sigma: float, prompt: Prompt) -> Tensor:
        import torch

        # It runs from noise at 0 to the picture at 1, and takes each picture as a film of one frame.
        frames = pipeline.transformer(
            list(x[:, :, None]), 1 - times(x, sigma), list(prompt[0]), return_dict=False
        )[0]
        return -torch.stack(frames)[:, :, 0]
