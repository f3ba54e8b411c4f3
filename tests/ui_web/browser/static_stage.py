"""A page with one custom element on it, in Chromium, from the static files alone: no server, no network."""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route

import sfumato_ui_web
from sfumato_ui_web.security.headers import CONTENT_SECURITY_POLICY

STATIC = Path(sfumato_ui_web.__file__).parent / "static"
ORIGIN = "http://localhost"
"""Nothing listens there. Chromium trusts it as it does https, which some interfaces need."""


@dataclass
class StaticStage:
    """What the page shows.

    Attributes:
        element: HTML of the element.
        module: Its module below the static files.
        sheets: Style sheets beside the studio's own.
        pictures: Files that the element may ask for, by name.
    """

    element: str
    module: str
    sheets: tuple[str, ...]
    pictures: dict[str, bytes] = field(default_factory=dict)

    @contextmanager
    def shown(self, browser: Browser, **context: Any) -> Iterator[Page]:
        """The page, closed afterwards. Errors of scripts, and what the policy forbids, fail the test."""
        made = browser.new_context(**{"viewport": {"width": 900, "height": 900}, **context})
        try:
            with self.page(made) as page:
                yield page
        finally:
            made.close()

    @contextmanager
    def page(self, context: BrowserContext) -> Iterator[Page]:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.route("**/*", self.answer)
        page.goto(f"{ORIGIN}/")
        yield page
        assert errors == []

    def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).lstrip("/")
        if not path:
            html = self.document()
            route.fulfill(
                body=html,
                content_type="text/html",
                headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY},
            )
        elif path in self.pictures:
            route.fulfill(body=self.pictures[path], content_type="image/png")
        elif path == "favicon.ico":
            route.fulfill(status=204)
        else:
            kind = mimetypes.guess_type(path)[0] or "text/plain"
            route.fulfill(body=(STATIC / path.removeprefix("static/")).read_bytes(), content_type=kind)

    def document(self) -> str:
        sheets = ("tokens", "base", "components", *self.sheets)
        links = "".join(f'<link rel="stylesheet" href="/static/css/{name}.css">' for name in sheets)
        script = f'<script type="module" src="/static/js/{self.module}"></script>'
        meta = '<meta name="viewport" content="width=device-width">'
        head = f"<head>{meta}{links}{script}</head>"
        return f'<!doctype html><html lang="en">{head}<body>{self.element}</body></html>'


def png(width: int, height: int, colour: str = "#808080") -> bytes:
    """A plain picture's file."""
    return encoded(Image.new("RGB", (width, height), colour))


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
