"""What a page is: a part of the web interface that a plugin brings, whoever serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from flask import Blueprint

    from sfumato.studio import Studio


class PageInfo(BaseModel):
    """What clients need to know of a page."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Permanent lower_snake name; the page's address begins with it.")
    label: str = Field(description="The name people see in the navigation.")
    aliases: tuple[str, ...] = ()
    summary: str = ""
    order: int = Field(default=100, description="Place in the navigation: lower comes first, then by label.")


class Page(Protocol):
    """Builds the page for one studio; called once for every web application that serves it.

    The blueprint's root ("/") is what the navigation leads to. Whoever serves it chooses the address, so
    links are made by `flask.url_for`.
    """

    def __call__(self, studio: Studio) -> Blueprint: ...
