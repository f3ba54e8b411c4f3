"""A prompt through one CLIP text encoder, as AUTOMATIC1111 does it: any length, weights, learned words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import Emphasis, PromptText, TextEmbedding
from sfumato_networks.clip_text import ClipTextOutput
from sfumato_networks.part_loading import ClipEncoder
from sfumato_networks.parts import CLIP_TEXT
from sfumato_networks.prompt_tokens import LearnedWord, PromptSplitter, PromptTokens, TokenWindow
from sfumato_networks.tokenizer import Tokenizer


@dataclass(frozen=True)
class ClipStates:
    """What one encoder made of a prompt.

    ``states`` [1, 77 k, width] for the k windows of the prompt, ``pooled`` [1, p] of the first one, projected
    where the encoder has a projection. Both are in the encoder's type. `notes` are for the user.
    """

    states: Tensor
    pooled: Tensor
    notes: tuple[str, ...] = ()


class ClipPrompts:
    """Prompts for one text encoder.

    Args:
        clip: The encoder.
        tokenizer: CLIP's; all CLIPs have the same.
        kind: The encoder's kind of part. It tells which vectors of a learned word are its own, and how rows
            are filled up: with end tokens for OpenAI's, with zeros for OpenCLIP's.
    """

    def __init__(self, clip: ClipEncoder, tokenizer: Tokenizer, kind: str) -> None:
        self.clip = clip
        self.tokenizer = tokenizer
        self.kind = kind
        self._pad = tokenizer.end if kind == CLIP_TEXT else 0

    @property
    def window(self) -> int:
        """Tokens that are encoded at once, without start and end: 75."""
        positions = self.clip.config.positions
        return min(positions, self.tokenizer.max_length or positions) - 2

    @property
    def device(self) -> torch.device:
        return next(self.clip.parameters()).device

    def count_tokens(self, text: PromptText) -> tuple[int, int]:
        """How many tokens a prompt takes up, and how many it could without one more window."""
        return self._tokens(text).count(self.window)

    def count_windows(self, text: PromptText) -> int:
        """How many times the encoder has to run for a prompt."""
        return len(self._tokens(text).windows)

    @torch.no_grad()
    def encode(self, text: PromptText, *, normed: bool, layer_from_end: int, windows: int = 1) -> ClipStates:
        """Run the encoder on each window of one prompt.

        Args:
            normed: Whether states get the encoder's final norm.
            layer_from_end: Which layer's states are taken ("clip skip"): 1 is the last one of the model, also
                where the file lacks that (`ClipTextConfig.dropped_layers`).
            windows: How many windows there are at least, empty ones behind the prompt. Encoders side by side
                need as many as each other, and a learned word may have more vectors for one of them.

        Raises:
            BadInput: the encoder has no such layer.
        """
        layer = self._layer(layer_from_end)
        tokens = self._tokens(text)
        states, pooled = [], []
        for window in (*tokens.windows, *(TokenWindow() for _ in range(windows - len(tokens.windows)))):
            output = self._run(window)
            chosen = output.hidden_states[layer]
            chosen = self.clip.norm(chosen) if normed else chosen
            states.append(weigh(chosen, self._row_weights(window), text.emphasis))
            pooled.append(output.pooled)
        return ClipStates(torch.cat(states, dim=1), pooled[0], tokens.unfit)

    def _layer(self, layer_from_end: int) -> int:
        config = self.clip.config
        if not 1 <= layer_from_end <= config.layers + config.dropped_layers:
            raise BadInput(
                f"Clip skip {layer_from_end} is more than this model's text encoder allows.",
                why=f"It has {config.layers + config.dropped_layers} layers.",
                hint="Choose a lower clip skip; most models want 1 or 2.",
            )
        return -max(layer_from_end - config.dropped_layers, 1)

    def _tokens(self, text: PromptText) -> PromptTokens:
        words = map(self._word, text.embeddings)
        return PromptSplitter(self.tokenizer, self.window, words).split(text)

    def _word(self, embedding: TextEmbedding) -> LearnedWord:
        vectors = embedding.vectors.get(self.kind)
        shape = tuple(vectors.shape) if vectors is not None else ()
        width = self.clip.config.hidden_size
        if len(shape) != 2 or not shape[0]:
            unfit = "has no vectors for this model's text encoder"
        elif shape[1] != width:
            unfit = f"has vectors of {shape[1]} features, this model's text encoder wants {width}"
        elif shape[0] > self.window:
            unfit = f"has {shape[0]} vectors, more than the {self.window} tokens that are read at once"
        else:
            unfit = ""
        note = f"The embedding '{embedding.name}' {unfit}: its name is read as text." if unfit else ""
        ids = tuple(self.tokenizer.encode(embedding.name))
        return LearnedWord(embedding, ids, shape[0] if shape else 0, note)

    def _run(self, window: TokenWindow) -> ClipTextOutput:
        end = self.tokenizer.end
        start = self.tokenizer.start if self.tokenizer.start is not None else end
        row = [start, *window.token_ids, end]
        row = row[: row.index(end) + 1] if self._pad != end else row  # a prompt may spell the end token out
        row += [self._pad] * (self.window + 2 - len(row))
        ids = torch.tensor([row], device=self.device)
        return self.clip(ids, end, self._embedded(ids, window))

    def _embedded(self, ids: Tensor, window: TokenWindow) -> Tensor | None:
        """The row with the vectors of learned words in their places; None where it has none."""
        if not window.words:
            return None
        embedded = self.clip.embed(ids).clone()
        for place, word in window.words:
            vectors = word.embedding.vectors[self.kind]
            embedded[0, 1 + place : 1 + place + word.places] = vectors.to(embedded)
        return embedded

    def _row_weights(self, window: TokenWindow) -> list[float]:
        return [1.0, *window.weights, *([1.0] * (self.window + 1 - len(window)))]


def weigh(states: Tensor, weights: list[float], emphasis: Emphasis) -> Tensor:
    """States [1, n, width] of one window multiplied by one weight a token.

    With emphasis "original" all are then rescaled so that their mean is what it was. Weights of 1 leave every
    bit as it was.
    """
    if all(weight == 1.0 for weight in weights):
        return states
    original = states.float()
    weighted = original * torch.tensor(weights, device=states.device)[None, :, None]
    if emphasis == "original":
        restored = weighted * (original.mean() / weighted.mean())
        weighted = restored if restored.isfinite().all() else weighted
    return weighted.to(states.dtype)
