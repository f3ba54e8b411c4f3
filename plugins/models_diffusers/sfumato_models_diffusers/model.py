"""A loaded diffusers folder: what the engine drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from sfumato.errors import BadInput
from sfumato.models import LayerTarget, ModelInfo, PromptText
from sfumato.noise_schedule import NoiseSchedule, flow_schedule
from sfumato_models_diffusers.detection import KINDS, TRANSFORMER
from sfumato_models_diffusers.options import DiffusersOptions
from sfumato_models_diffusers.recipes import Recipe
from sfumato_models_diffusers.recipes.recipe import Prompt
from sfumato_networks.clip_text import own_layers
from sfumato_networks.prompt_batches import Stacked, each_alike

_WEIGHTS_IGNORED = "Attention weights have no effect on this model: its text encoder reads plain text."


@dataclass(frozen=True)
class DiffusersConditioning:
    """One encoded prompt; `notes` are for the user."""

    prompt: Prompt
    notes: tuple[str, ...] = ()

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(tensor.shape) for tensor in self.prompt)


class DiffusersModel:
    """Fulfils `sfumato.models.LoadedModel` by what a recipe has the pipeline do.

    Wherever options are taken, they are completed by the model's own preferences.
    """

    def __init__(
        self,
        info: ModelInfo,
        pipeline: Any,
        recipe: Recipe,
        device: str,
        files: Mapping[str, Sequence[Path]],
    ) -> None:
        self.info = info
        self.pipeline = pipeline
        self.recipe = recipe
        self.device = device
        self.files = files
        self.latent_format = recipe.latent_format(pipeline)
        self.networks: Mapping[str, nn.Module] = {
            kind: getattr(pipeline, folder) for folder, kind in KINDS.items()
        }
        self._transformer: nn.Module = self.networks[TRANSFORMER]
        self._dtype: torch.dtype = pipeline.transformer.dtype
        self._stacked = Stacked[DiffusersConditioning](lambda each: each.prompt)

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        """By diffusers' and transformers' names, which are the networks' own; the transformer's also by its
        makers' names.
        """
        network = self.networks.get(part)
        if network is None:
            return {}
        own = own_layers(network)
        if part != TRANSFORMER:
            return own
        original = {name: own[layer] for layer in own if (name := self.recipe.original_name(layer))}
        return original | own

    def noise_schedule(self, width: int, height: int, options: Mapping[str, Any]) -> NoiseSchedule:
        """Flow levels under the shift that the options ask for, or the folder's scheduler."""
        shift = self._options(options).shift
        if shift is None:
            scheduler, steps = self.pipeline.scheduler.config, self.info.defaults.steps
            shift = self.recipe.shift(scheduler, self._tokens(width, height), steps)
        return flow_schedule(shift)

    @torch.no_grad()
    def condition(self, text: PromptText, options: Mapping[str, Any]) -> DiffusersConditioning:
        """Encode one prompt: all of its text, without weights."""
        pieces = [piece for chunk in text.chunks for piece in chunk]
        plain = " ".join("".join(piece for piece, _ in chunk) for chunk in text.chunks)
        length = self._options(options).text_length or self.recipe.text_length
        prompt = self.recipe.encode_prompt(self.pipeline, plain, length, is_negative=text.is_negative)
        weighted = any(weight != 1.0 for _, weight in pieces)
        return DiffusersConditioning(prompt, (_WEIGHTS_IGNORED,) if weighted else ())

    def see(self, pixels: Tensor, mask: Tensor) -> NoReturn:
        """Raises `BadInput`: it draws from a prompt alone."""
        raise BadInput(
            f"'{self.info.name}' draws from a prompt alone: it sees no picture.",
            hint="Choose an inpainting model.",
        )

    @torch.no_grad()
    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[DiffusersConditioning],
        options: Mapping[str, Any],
        *,
        picture: None = None,
    ) -> Tensor:
        """``x0 = x - sigma * v`` for latents x [b, c, h, w]; prompts of one length are run together."""

        def evaluate(x: Tensor, prompts: Sequence[DiffusersConditioning]) -> Tensor:
            prompt = tuple(map(self._computed, self._stacked(prompts)))
            return self.recipe.velocity(self.pipeline, x.to(self._dtype), sigma, prompt).to(x.dtype)

        return x - sigma * each_alike(x, conditioning, lambda prompt: prompt.shapes, evaluate)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [b, c, h, w] to pixels [b, 3, H, W] in 0..1, float32."""
        return self.recipe.decode(self.pipeline, latents.float()).float().mul(0.5).add(0.5).clamp(0, 1)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [b, 3, H, W] in 0..1 to latents [b, c, h, w], float32."""
        return self.recipe.encode(self.pipeline, pixels * 2 - 1)

    def sampling_memory(self, width: int, height: int, batch_size: int, options: Mapping[str, Any]) -> int:
        """Bytes at the peak of the transformer: some copies of its widest layer's output."""
        length = self._options(options).text_length or self.recipe.text_length
        tokens = self._tokens(width, height) + length
        widest = max(m.out_features for m in self._transformer.modules() if isinstance(m, nn.Linear))
        return batch_size * tokens * 6 * widest * self._dtype.itemsize

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        """Bytes at the peak of the decoder: five maps of the level before the last, at full size."""
        decoder = self.pipeline.vae.decoder
        convolutions = [m for m in decoder.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
        a_pixel = 5 * 2 * convolutions[-1].in_channels * self.pipeline.vae.dtype.itemsize
        return batch_size * width * height * a_pixel

    def _options(self, options: Mapping[str, Any]) -> DiffusersOptions:
        return DiffusersOptions.model_validate({**self.info.options, **options})

    def _tokens(self, width: int, height: int) -> int:
        side = self.latent_format.size_multiple
        return (width // side) * (height // side)

    def _computed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor
