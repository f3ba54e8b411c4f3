"""The query 'styles': what there is to choose from."""

from __future__ import annotations

from pydantic import BaseModel

from sfumato.queries import QueryContext
from sfumato.request.schema import Schema
from sfumato_pictures.settings import SavingSettings
from sfumato_pictures.styles import style_book


class StylesRequest(Schema):
    """All styles."""


class NamedStyle(BaseModel):
    """A style; rows that divide a list into parts are none."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    description: str = ""


class Styles(BaseModel):
    """In the order of their files."""

    items: tuple[NamedStyle, ...]


def styles(request: StylesRequest, context: QueryContext) -> Styles:
    """Raises `BadInput` when a styles file cannot be read."""
    book = style_book(getattr(context.settings, "saving", None) or SavingSettings())
    return Styles(
        items=tuple(
            NamedStyle(
                name=style.name,
                prompt=style.prompt,
                negative_prompt=style.negative_prompt,
                description=style.description,
            )
            for style in book
        )
    )
