"""The query 'token_count': how long a prompt is for the text encoders of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, Field

from sfumato.errors import SfumatoError
from sfumato.models import ModelInfo, PromptText
from sfumato.queries import QueryContext
from sfumato.request.schema import Schema
from sfumato_engine.prompts import compile_prompt
from sfumato_engine.prompts.compilation import EmphasisMode
from sfumato_networks.part_finder import PartFinder
from sfumato_networks.part_sources import CLIP_TOKENIZER, T5_TOKENIZER
from sfumato_networks.parts import CLIP_KINDS, T5_ENCODER
from sfumato_networks.prompt_tokens import PromptSplitter
from sfumato_networks.tokenizer import Tokenizer


class TokenCountRequest(Schema):
    """Which prompt, for which model."""

    prompt: str = Field(max_length=200_000)
    model: str | None = Field(default=None, description="By default the default model.")
    negative: bool = Field(default=False, description="Whether it is the negative prompt.")
    steps: int = Field(default=20, ge=1, le=1000, description="Over which prompt editing goes on.")
    emphasis: EmphasisMode = "original"


class TokenCount(BaseModel):
    """What a prompt comes to for one kind of encoder, at its longest over the steps."""

    encoder: str = Field(description="CLIP or T5.")
    tokens: int
    limit: int = Field(description="That fit without another window, or at all; 0 where it is not known.")
    windows: int = Field(default=1, description="Of CLIP; T5 reads one, and what is beyond it is cut.")


class TokenCounts(BaseModel):
    """One count an encoder; none for a model whose tokenizers are not here."""

    counts: tuple[TokenCount, ...]


def token_count(request: TokenCountRequest, context: QueryContext) -> TokenCounts:
    """Raises `UnknownName` for a model that is not here."""
    info = context.library.find(request.model)
    prompt = compile_prompt(
        request.prompt, request.steps, emphasis=request.emphasis, compose=not request.negative
    )
    texts = [
        PromptText(chunks)
        for part in prompt.parts
        for chunks in dict.fromkeys(chunks for _, chunks in part.spans)
    ]
    return TokenCounts(counts=tuple(_counts(info, texts, context)))


def _counts(info: ModelInfo, texts: list[PromptText], context: QueryContext) -> Iterator[TokenCount]:
    kinds = {part.kind for part in info.parts} | set(info.missing_parts)
    finder = PartFinder(context.library.header(info.path), context.library)
    if kinds & set(CLIP_KINDS) and (tokenizer := _tokenizer(finder, CLIP_TOKENIZER)):
        split = [PromptSplitter(tokenizer, _window(tokenizer)).split(text) for text in texts]
        used, limit = max(prompt.count(_window(tokenizer)) for prompt in split)
        yield TokenCount(
            encoder="CLIP", tokens=used, limit=limit, windows=max(len(one.windows) for one in split)
        )
    if T5_ENCODER in kinds and (tokenizer := _tokenizer(finder, T5_TOKENIZER)):
        longest = max(len(tokenizer.encode(chunk)) for chunk in _chunks(texts))
        yield TokenCount(encoder="T5", tokens=longest, limit=max((tokenizer.max_length or 1) - 1, 0))


def _chunks(texts: Iterable[PromptText]) -> Iterator[str]:
    for text in texts:
        yield from ("".join(piece for piece, _ in chunk) for chunk in text.chunks)


def _window(tokenizer: Tokenizer) -> int:
    """Tokens between start and end: 75 of CLIP's 77."""
    return (tokenizer.max_length or 77) - 2


def _tokenizer(finder: PartFinder, kind: str) -> Tokenizer | None:
    """None where it is missing or damaged: drawing will tell."""
    try:
        place = finder.find_tokenizer(kind)
        return Tokenizer.read(place) if place else None
    except SfumatoError:
        return None
