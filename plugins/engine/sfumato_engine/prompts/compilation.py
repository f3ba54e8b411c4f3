"""A prompt as the sampling loop needs it: what to encode, and until which step it is in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal, TypeAlias

from sfumato_engine.prompts.attention import Chunk, parse_chunks
from sfumato_engine.prompts.composition import split_and
from sfumato_engine.prompts.networks import extra_networks
from sfumato_engine.prompts.scheduling import schedule
from sfumato_engine.prompts.syntax import ExtraNetwork

EmphasisMode: TypeAlias = Literal["original", "no_norm", "ignore", "none"]

Span: TypeAlias = tuple[int, tuple[Chunk, ...]]
"""The last step, counted from 1, and the chunks in force until then."""


@dataclass(frozen=True)
class ScheduledPart:
    """One of the texts joined by AND over all steps.

    Attributes:
        weight: Its guidance is multiplied by this.
        spans: In order, neighbours differ; the last one ends with the last step.
    """

    weight: float
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class CompiledPrompt:
    """At least one part, and the extra networks that the prompt asks for."""

    parts: tuple[ScheduledPart, ...]
    networks: tuple[ExtraNetwork, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The pieces of text that encoders get over all steps, each once."""
        chunks = (chunk for part in self.parts for _, chunks in part.spans for chunk in chunks)
        return tuple(dict.fromkeys(piece for chunk in chunks for piece, _ in chunk))


def _go_on() -> None:
    """Nobody stops the reading."""


def compile_prompt(
    prompt: str,
    steps: int,
    *,
    emphasis: EmphasisMode = "original",
    compose: bool = True,
    check: Callable[[], None] = _go_on,
) -> CompiledPrompt:
    """Read a prompt in the whole grammar of AUTOMATIC1111. No text is an error.

    Args:
        prompt: As the user wrote it.
        steps: Of the sampler; at least 1.
        emphasis: "original" and "no_norm" read weights, and differ only in how encoders use them; with
            "ignore" brackets are read, but all weights are 1; with "none" weight brackets, escapes and BREAK
            are words.
        compose: Whether AND splits the prompt and tags name extra networks. In negative prompts both are
            words.
        check: Called for each of the texts that a prompt goes through, a thousand at most; may raise to stop.
    """
    text, networks = extra_networks(prompt) if compose else (prompt, [])
    parts = split_and(text) if compose else [(text, 1.0)]
    return CompiledPrompt(
        tuple(ScheduledPart(weight, _spans(part, steps, emphasis, check)) for part, weight in parts),
        tuple(networks),
    )


def _spans(text: str, steps: int, emphasis: EmphasisMode, check: Callable[[], None]) -> tuple[Span, ...]:
    entries = schedule(text, steps)
    chunks: dict[str, tuple[Chunk, ...]] = {}
    for _, text_then in entries:
        check()
        if text_then not in chunks:
            chunks[text_then] = _chunks(text_then, emphasis)
    equal = groupby(((last, chunks[text]) for last, text in entries), key=itemgetter(1))
    return tuple((max(last for last, _ in entries_of_it), found) for found, entries_of_it in equal)


def _chunks(text: str, emphasis: EmphasisMode) -> tuple[Chunk, ...]:
    if emphasis == "none":
        return (((text, 1.0),),)
    chunks = parse_chunks(text)
    if emphasis == "ignore":
        # Pieces stay apart: encoders split text into tokens piece by piece.
        return tuple(tuple((piece, 1.0) for piece, _ in chunk) for chunk in chunks)
    return chunks
