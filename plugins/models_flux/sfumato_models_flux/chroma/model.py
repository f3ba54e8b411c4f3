"""A loaded Chroma model: what the engine drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from sfumato.models import LatentFormat, LayerTarget, ModelInfo, PromptText
from sfumato_models_flux.chroma.options import ChromaOptions
from sfumato_models_flux.chroma.transformer import ChromaTransformer
from sfumato_models_flux.latent_space import LatentScaling
from sfumato_models_flux.layer_names import transformer_layers
from sfumato_models_flux.layout_model import LayoutModel
from sfumato_models_flux.stored_transformer import TRANSFORMER
from sfumato_networks.autoencoder import Autoencoder
from sfumato_networks.parts import T5_ENCODER
from sfumato_networks.t5_prompts import T5Prompts
from sfumato_networks.tokenizer import Tokenizer


@dataclass(frozen=True)
class ChromaConditioning:
    """One encoded prompt: ``context`` [1, m, context_size]; `notes` are for the user.

    m is the number of its tokens and of one padding token for each chunk. Chroma is trained with all other
    padding hidden from attention; text having no place, it may as well be left out.
    """

    context: Tensor
    notes: tuple[str, ...] = ()


class ChromaModel(LayoutModel[ChromaConditioning, ChromaOptions]):
    """Chroma1 and its likes; fulfils `sfumato.models.LoadedModel`."""

    options_type = ChromaOptions

    def __init__(
        self,
        info: ModelInfo,
        transformer: ChromaTransformer,
        autoencoder: Autoencoder,
        prompts: T5Prompts,
        latent_format: LatentFormat,
        scaling: LatentScaling,
        files: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    ) -> None:
        encoders = {T5_ENCODER: prompts.t5}
        super().__init__(info, transformer, autoencoder, encoders, latent_format, scaling, files)
        self.prompts = prompts

    @property
    def t5_tokenizer(self) -> Tokenizer:
        return self.prompts.tokenizer

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        """By the names of the original layout, of diffusers' transformer, of transformers' text encoder."""
        if part != TRANSFORMER:
            return super().layer_names(part)
        config = self.transformer.config
        return transformer_layers(self.transformer, config, config.approximator_layers)

    @torch.no_grad()
    def condition(self, text: PromptText, options: Mapping[str, Any] | ChromaOptions) -> ChromaConditioning:
        """Encode one prompt; see `T5Prompts` for what attention weights do."""
        encoded = self.prompts.encode(text, self._t5_length(self._options(options)), masked=True)
        return ChromaConditioning(encoded.states.to(self.transformer.img_in.weight.dtype), encoded.notes)

    def _velocity(
        self,
        tokens: Tensor,
        sigma: float,
        conditioning: Sequence[ChromaConditioning],
        rotary: Tensor,
        options: ChromaOptions,
    ) -> Tensor:
        context = torch.cat([prompt.context for prompt in conditioning])
        # One time for all of the batch: the approximator need not make the same table for each.
        time = torch.full((1,), sigma, device=tokens.device)
        velocity: Tensor = self.transformer(tokens, time, context, rotary)
        return velocity
