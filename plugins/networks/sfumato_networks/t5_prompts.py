"""Prompts as T5 reads them, with attention weights."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from sfumato.models import Emphasis, PromptText, WeightedText
from sfumato_networks.t5_encoder import T5Encoder
from sfumato_networks.tokenizer import Tokenizer

_STEADY = 2.0
"""Means are restored only where the weights changed them by no more than this factor."""


@dataclass(frozen=True)
class T5States:
    """One encoded prompt: ``states`` [1, length · chunks, width]; `notes` are for the user."""

    states: Tensor
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class T5Prompts:
    """T5 with its tokenizer.

    Each token's state is multiplied by its weight, then, with emphasis "original", all are rescaled so that
    their mean is what it was. The mean of T5's states is near zero, where that could blow up or change sign:
    it is left out if it would change them twofold. Weights of 1 leave every bit as it was.

    A chunk is tokenised whole, so that weights never change which tokens it has; a token has the weight of
    the piece it ends in. Chunks are encoded apart, and their states follow each other.
    """

    t5: T5Encoder
    tokenizer: Tokenizer

    def encode(self, text: PromptText, length: int, *, masked: bool = False) -> T5States:
        """Run the encoder on one prompt, on ``length`` tokens a chunk: padded to them, or cut and told.

        Padding counts as text does, unless it is ``masked``: then nothing sees it, and of its states only the
        first is kept.
        """
        states, notes = [], []
        for chunk in text.chunks:
            tokens = self.tokenizer.encode_with_ends("".join(piece for piece, _ in chunk))
            kept = tokens[: length - 1]
            if len(kept) < len(tokens):
                notes.append(
                    f"The prompt is too long: T5 reads the first {len(kept)} of its {len(tokens)} tokens."
                )
            states.append(self._of_chunk(chunk, kept, length, text.emphasis, masked))
        return T5States(torch.cat(states, dim=1), tuple(notes))

    def _of_chunk(
        self,
        text: WeightedText,
        tokens: Sequence[tuple[int, int]],
        length: int,
        emphasis: Emphasis,
        masked: bool,
    ) -> Tensor:
        """States of a chunk, of which these tokens, each with where it ends, fit into the length."""
        weights = token_weights(text, [end for _, end in tokens])
        row = [*(token for token, _ in tokens), self.tokenizer.end]
        seen = torch.tensor([[1] * len(row) + [0]]) if masked else None
        row += [self.tokenizer.pad] * (1 if masked else length - len(row))
        device = self.t5.shared.weight.device
        states: Tensor = self.t5(
            torch.tensor([row], device=device), None if seen is None else seen.to(device)
        )
        states, weights = states[:, :length], weights + [1.0] * (len(row) - len(weights))
        return weigh(states, weights[:length], restore_mean=emphasis == "original")


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
