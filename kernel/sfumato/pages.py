"""What a plugin brings to the web interface: pages, panels on pages, routes, catalogues of translations.

Whoever serves them builds each once for an application. A page's template extends ``sfumato/page.html`` and
fills its blocks ``title`` and ``content`` (and ``head`` for style sheets and modules of its own); whoever
serves the page brings that template, with navigation and everything else around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

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
    icon: str = Field(
        default="", description="Path data of an SVG, drawn in a square of 24 by 24 with strokes."
    )
    in_navigation: bool = True


class PanelInfo(BaseModel):
    """A part of another plugin's page."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str = Field(description="The heading over the panel.")
    page: str = Field(description="Name of the page that shows it.")
    aliases: tuple[str, ...] = ()
    summary: str = ""
    order: int = Field(default=100, description="Lower comes first, then by label.")


class RoutesInfo(BaseModel):
    """Addresses for programs, such as an API."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str
    address: str = Field(description="What all its paths begin with, such as '/sdapi/v1'.")
    aliases: tuple[str, ...] = ()
    summary: str = ""
    basic: bool = Field(default=False, description="Whether user and password may come by HTTP Basic.")


class CatalogueInfo(BaseModel):
    """Translations: a folder of ``<locale>/LC_MESSAGES/messages.po``."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()


class Page(Protocol):
    """Builds the page for one studio; called once for every web application that serves it.

    The blueprint's root ("/") is what the navigation leads to. Whoever serves it chooses the address, so
    links are made by `flask.url_for`. A panel is built alike; its view named ``fragment`` gives HTML without
    head and body, which is put into the page. Routes are built alike and have no root.
    """

    def __call__(self, studio: Studio) -> Blueprint: ...


Place = Literal["page", "panel", "routes"]
