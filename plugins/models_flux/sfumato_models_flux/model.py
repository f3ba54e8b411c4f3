"""A loaded Flux model: what the engine drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import LatentFormat, ModelInfo, PromptText
from sfumato_models_flux.latent_space import LatentScaling
from sfumato_models_flux.layout_model import T5_LENGTH, LayoutModel
from sfumato_models_flux.masked_picture import masked_picture_tokens
from sfumato_models_flux.options import FluxOptions
from sfumato_models_flux.prompts import FluxConditioning, PromptEncoder
from sfumato_models_flux.transformer import FluxTransformer, pack
from sfumato_networks.autoencoder import Autoencoder
from sfumato_networks.parts import CLIP_TEXT, T5_ENCODER
from sfumato_networks.prompt_batches import Stacked
from sfumato_networks.tokenizer import Tokenizer

T5_LENGTHS = {"schnell": 256}


class FluxModel(LayoutModel[FluxConditioning, FluxOptions]):
    """Flux.1 and its likes; fulfils `sfumato.models.LoadedModel`."""

    options_type = FluxOptions

    def __init__(
        self,
        info: ModelInfo,
        transformer: FluxTransformer,
        autoencoder: Autoencoder,
        prompts: PromptEncoder,
        latent_format: LatentFormat,
        scaling: LatentScaling,
        files: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    ) -> None:
        encoders = {CLIP_TEXT: prompts.clip, T5_ENCODER: prompts.t5}
        super().__init__(info, transformer, autoencoder, encoders, latent_format, scaling, files)
        self.prompts = prompts
        self._stacked = Stacked[FluxConditioning](lambda prompt: (prompt.context, prompt.vector))

    @property
    def t5_tokenizer(self) -> Tokenizer:
        return self.prompts.t5_tokenizer

    @torch.no_grad()
    def condition(self, text: PromptText, options: Mapping[str, Any] | FluxOptions) -> FluxConditioning:
        """Encode one prompt; see `PromptEncoder` for what attention weights do."""
        encoded = self.prompts.encode(text, self._t5_length(self._options(options)))
        dtype = self.transformer.img_in.weight.dtype
        return FluxConditioning(encoded.context.to(dtype), encoded.vector.to(dtype), encoded.notes)

    @torch.no_grad()
    def see(self, pixels: Tensor, mask: Tensor) -> Tensor:
        """What Flux.1 Fill knows of a picture [1, 3, H, W]: features of its tokens, [1, n, picture_channels].

        Raises:
            BadInput: the model draws from a prompt alone.
        """
        if not self.info.sees_picture:
            raise BadInput(
                f"'{self.info.name}' draws from a prompt alone: it sees no picture.",
                hint="Choose an inpainting model such as Flux.1 Fill.",
            )
        return masked_picture_tokens(self.encode(pixels), mask)

    def _velocity(
        self,
        tokens: Tensor,
        sigma: float,
        conditioning: Sequence[FluxConditioning],
        rotary: Tensor,
        options: FluxOptions,
    ) -> Tensor:
        context, vector = self._stacked(conditioning)
        times = torch.full((len(tokens),), sigma, device=tokens.device)
        guidance = None
        if self.transformer.guidance_in is not None:
            guidance = torch.full((len(tokens),), options.guidance, device=tokens.device)
        velocity: Tensor = self.transformer(tokens, times, context, vector, rotary, guidance)
        return velocity

    def _tokens_of(self, x: Tensor, picture: Tensor | None) -> Tensor:
        """Latents as tokens, beside what the model sees of a picture: [b, n, in_channels]."""
        if not self.info.sees_picture:
            return pack(x)
        if picture is None:
            raise BadInput(
                f"'{self.info.name}' paints into a picture, and there is none.",
                hint="Give it a picture and a mask, or choose another model.",
            )
        return torch.cat((pack(x), picture.to(x.dtype).expand(len(x), -1, -1)), dim=-1)

    def _shift(self, width: int, height: int, options: FluxOptions) -> float:
        if options.shift is None and self.info.variant == "schnell":
            return 1.0
        return super()._shift(width, height, options)

    @property
    def _trained_t5_length(self) -> int:
        return T5_LENGTHS.get(self.info.variant, T5_LENGTH)
