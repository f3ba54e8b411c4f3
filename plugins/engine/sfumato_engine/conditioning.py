"""Encoded prompts, cached by content: the same text, model and options are encoded once."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from sfumato.models import WeightedText
from sfumato_engine.lru import LeastRecentlyUsed
from sfumato_engine.prompt_attention import parse_attention


def condition(
    cache: LeastRecentlyUsed[Any],
    identity: Hashable,
    prompt: str,
    options: Mapping[str, Any],
    encode: Callable[[WeightedText], Any],
) -> Any:
    """The conditioning for a prompt with attention weights, encoded unless it is at hand.

    Args:
        cache: Conditioning by content.
        identity: Tells the model, in its placement, from all others.
        prompt: As the user wrote it.
        options: Those that change the conditioning.
        encode: Runs the text encoders.
    """
    text = tuple(parse_attention(prompt))
    key = (identity, text, json.dumps(options, sort_keys=True, default=str))
    return cache.get(key, lambda: encode(text))
