"""The query 'prompt_syntax': a prompt cut into stretches of one meaning, for editors."""

from __future__ import annotations

from itertools import accumulate

from pydantic import BaseModel, Field

from sfumato.queries import QueryContext
from sfumato.request.schema import Schema
from sfumato_engine.prompts import extra_networks, tokens

BEYOND_ONE_UNIT = 0xFFFF
"""Characters above it take two units in UTF-16."""


class PromptSyntaxRequest(Schema):
    """Which prompt."""

    prompt: str = Field(max_length=200_000)
    utf16: bool = Field(
        default=False, description="Count places in units of UTF-16, as JavaScript does, not in characters."
    )


class SyntaxToken(BaseModel):
    """``prompt[start:end]`` is of one kind."""

    kind: str = Field(description="text, emphasis, scheduled, alternation, break, and, network")
    start: int
    end: int


class NamedNetwork(BaseModel):
    """A tag ``<kind:name:...>``."""

    kind: str
    name: str
    start: int
    end: int


class PromptSyntax(BaseModel):
    """All of a prompt, without gaps."""

    tokens: tuple[SyntaxToken, ...]
    networks: tuple[NamedNetwork, ...]


def prompt_syntax(request: PromptSyntaxRequest, context: QueryContext) -> PromptSyntax:
    """No text is an error; what is no syntax is text."""
    places = _places(request.prompt) if request.utf16 else range(len(request.prompt) + 1)
    return PromptSyntax(
        tokens=tuple(
            SyntaxToken(kind=token.kind, start=places[token.start], end=places[token.end])
            for token in tokens(request.prompt)
        ),
        networks=tuple(
            NamedNetwork(
                kind=network.kind,
                name=network.positional[0] if network.positional else "",
                start=places[network.start],
                end=places[network.end],
            )
            for network in extra_networks(request.prompt)[1]
        ),
    )


def _places(text: str) -> list[int]:
    """Where each character begins in UTF-16, and where the last one ends."""
    return [0, *accumulate(1 + (ord(character) > BEYOND_ONE_UNIT) for character in text)]
