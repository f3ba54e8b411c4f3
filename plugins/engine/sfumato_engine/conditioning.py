"""Prompts as conditioning over the steps: compiled, encoded, cached by content.

The same text, model and options are encoded once, in this request or an earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from sfumato.models import PromptText, TextEmbedding
from sfumato_engine.guidance import PromptPart
from sfumato_engine.lru import LeastRecentlyUsed
from sfumato_engine.prompts import CompiledPrompt
from sfumato_engine.timeline import Timeline


@dataclass(frozen=True)
class Encoder:
    """The text side of a model, with what it was asked before.

    Attributes:
        cache: Conditioning by content.
        identity: Tells the model, in its placement, from all others.
        options: Those that change the conditioning.
        emphasis: "no_norm" leaves the mean of weighted states as it comes.
        clip_skip: Which layer of CLIP is taken, from the end.
        encode: Runs the text encoders.
        embeddings: The learned words that the prompts hold.
    """

    cache: LeastRecentlyUsed[Any]
    identity: Hashable
    options: Mapping[str, Any]
    emphasis: str
    clip_skip: int
    encode: Callable[[PromptText], Any]
    embeddings: tuple[TextEmbedding, ...] = ()

    def parts(self, prompt: CompiledPrompt, *, is_negative: bool = False) -> list[PromptPart]:
        """The prompts that AND joins, each encoded for every span of steps."""
        encoded: dict[PromptText, Any] = {}  # the cache may be smaller than one prompt's spans

        def conditioning(chunks: Any) -> Any:
            text = PromptText(
                chunks,
                emphasis="no_norm" if self.emphasis == "no_norm" else "original",
                clip_skip=self.clip_skip,
                is_negative=is_negative,
                embeddings=self._embeddings_in(chunks),
            )
            if text not in encoded:
                encoded[text] = self._condition(text)
            return encoded[text]

        return [
            PromptPart(part.weight, Timeline([(last, conditioning(chunks)) for last, chunks in part.spans]))
            for part in prompt.parts
        ]

    def _embeddings_in(self, chunks: Any) -> tuple[TextEmbedding, ...]:
        text = "".join(piece for chunk in chunks for piece, _ in chunk).lower()
        return tuple(found for found in self.embeddings if found.name.lower() in text)

    def _condition(self, text: PromptText) -> Any:
        key = (self.identity, text, json.dumps(self.options, sort_keys=True, default=str))
        return self.cache.get(key, lambda: self.encode(text))
