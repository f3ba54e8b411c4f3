"""Prompts to conditioning: T5's states for the context, CLIP's pooled state for the vector."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from sfumato.models import Emphasis, PromptText, WeightedText
from sfumato_networks.clip_text import ClipText
from sfumato_networks.t5_encoder import T5Encoder
from sfumato_networks.tokenizer import Tokenizer

_STEADY = 2.0
"""Means are restored only where the weights changed them by no more than this factor."""


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

    Attention weights act on T5 alone: each token's state is multiplied by its weight, then, with emphasis
    "original", all are rescaled so that their mean is what it was. The mean of T5's states is near zero,
    where that could blow up or change sign: it is left out if it would change them twofold. Weights of 1
    leave every bit as it was. CLIP, of which Flux sees the pooled state only, reads plain text, and no layer
    of it can be skipped.

    A chunk is tokenised whole, so that weights never change which tokens it has; a token has the weight of
    the piece it ends in. Chunks are encoded apart; their contexts follow each other, and the vector is that
    of the first one.
    """

    clip: ClipText
    clip_tokenizer: Tokenizer
    t5: T5Encoder
    t5_tokenizer: Tokenizer

    def encode(self, text: PromptText, t5_length: int) -> FluxConditioning:
        """Run both encoders on one prompt, T5 on ``t5_length`` tokens a chunk."""
        contexts, notes = [], []
        for chunk in text.chunks:
            tokens = self.t5_tokenizer.encode_with_ends("".join(piece for piece, _ in chunk))
            kept = tokens[: t5_length - 1]
            if len(kept) < len(tokens):
                notes.append(
                    f"The prompt is too long: T5 reads the first {len(kept)} of its {len(tokens)} tokens."
                )
            contexts.append(self._context(chunk, kept, t5_length, text.emphasis))
        vector = self._vector("".join(piece for piece, _ in text.chunks[0]))
        return FluxConditioning(torch.cat(contexts, dim=1), vector, tuple(notes))

    def _vector(self, text: str) -> Tensor:
        tokenizer = self.clip_tokenizer
        limit = min(self.clip.config.positions, tokenizer.max_length or self.clip.config.positions)
        ids = tokenizer.encode(text)[: limit - 2]  # T5 has the whole prompt: CLIP's part is a summary
        # What follows the end token cannot reach the pooled state, so that no padding is needed.
        row = [tokenizer.start if tokenizer.start is not None else tokenizer.end, *ids, tokenizer.end]
        device = self.clip.text_model.embeddings.token_embedding.weight.device
        return self.clip(torch.tensor([row], device=device), tokenizer.end).pooled

    def _context(
        self, text: WeightedText, tokens: Sequence[tuple[int, int]], length: int, emphasis: Emphasis
    ) -> Tensor:
        """T5's states for a chunk, of which these tokens, each with where it ends, fit into the length."""
        tokenizer = self.t5_tokenizer
        weights = token_weights(text, [end for _, end in tokens])
        row = [*(token for token, _ in tokens), tokenizer.end]
        row += [tokenizer.pad] * (length - len(row))
        states: Tensor = self.t5(torch.tensor([row], device=self.t5.shared.weight.device))
        return weigh(states, weights + [1.0] * (length - len(weights)), restore_mean=emphasis == "original")


def token_weights(text: WeightedText, ends: Sequence[int]) -> list[float]:
    """The weight of each token, given where in the whole text it ends."""
    piece_ends = list(accumulate(len(piece) for piece, _ in text))
    return [text[bisect_left(piece_ends, end)][1] for end in ends]


def weigh(states: Tensor, weights: list[float], *, restore_mean: bool = True) -> Tensor:
    """States [1, m, c] multiplied by one weight a token; their mean is restored if asked and where safe."""
    if all(weight == 1.0 for weight in weights):
        return states
    factors = torch.tensor(weights, dtype=torch.float32, device=states.device)
    weighted = states.float() * factors[None, :, None]
    if not restore_mean:
        return weighted.to(states.dtype)
    before, after = float(states.float().mean()), float(weighted.mean())
    restore = before / after if after else 0.0
    if not 1 / _STEADY <= restore <= _STEADY:
        restore = 1.0
    return (weighted * restore).to(states.dtype)
