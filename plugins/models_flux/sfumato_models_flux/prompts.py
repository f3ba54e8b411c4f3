"""Prompts to conditioning: T5's states for the context, CLIP's pooled state for the vector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.models import PromptText
from sfumato_networks.clip_prompts import ClipPrompts
from sfumato_networks.part_loading import ClipEncoder
from sfumato_networks.parts import CLIP_TEXT
from sfumato_networks.t5_encoder import T5Encoder
from sfumato_networks.t5_prompts import T5Prompts
from sfumato_networks.tokenizer import Tokenizer


@dataclass(frozen=True)
class FluxConditioning:
    """One encoded prompt: ``context`` [1, m, context_size] and ``vector`` [1, vector_size].

    m is the T5 length times the number of chunks. `notes` are for the user.
    """

    context: Tensor
    vector: Tensor
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptEncoder:
    """The text side of a Flux model.

    Attention weights act on T5 alone, see `T5Prompts`: CLIP, of which Flux sees the pooled state only, reads
    plain text, and no layer of it can be skipped. The pooled state is that of the first chunk. Learned words
    are CLIP's: T5 reads their names.
    """

    clip: ClipEncoder
    clip_tokenizer: Tokenizer
    t5: T5Encoder
    t5_tokenizer: Tokenizer

    def encode(self, text: PromptText, t5_length: int) -> FluxConditioning:
        """Run both encoders on one prompt, T5 on ``t5_length`` tokens a chunk."""
        context = T5Prompts(self.t5, self.t5_tokenizer).encode(text, t5_length)
        if text.embeddings:
            clip = ClipPrompts(self.clip, self.clip_tokenizer, CLIP_TEXT)
            read = clip.encode(replace(text, chunks=text.chunks[:1]), normed=True, layer_from_end=1)
            return FluxConditioning(context.states, read.pooled, (*context.notes, *read.notes))
        vector = self._vector("".join(piece for piece, _ in text.chunks[0]))
        return FluxConditioning(context.states, vector, context.notes)

    def _vector(self, text: str) -> Tensor:
        tokenizer = self.clip_tokenizer
        limit = min(self.clip.config.positions, tokenizer.max_length or self.clip.config.positions)
        ids = tokenizer.encode(text)[: limit - 2]  # T5 has the whole prompt: CLIP's part is a summary
        # What follows the end token cannot reach the pooled state, so that no padding is needed.
        row = [tokenizer.start if tokenizer.start is not None else tokenizer.end, *ids, tokenizer.end]
        device = next(self.clip.parameters()).device
        return self.clip(torch.tensor([row], device=device), tokenizer.end).pooled
