"""What tests do on the Generate page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

from ..conftest import LiveServer

PATIENCE = 60_000
"""Milliseconds: a worker process has to start and to load the model."""

OpenPage = Callable[..., Page]
LONG = 900
"""Steps that a job takes which is to be caught while it runs."""


def show(page: Page, server: LiveServer) -> Page:
    page.goto(f"{server.url}/generate/")
    page.wait_for_selector("#generate[data-ready]")
    return page


def ask_for(page: Page, prompt: str, **fields: Any) -> None:
    page.fill("#form-prompt", prompt)
    for name, value in fields.items():
        page.fill(f"#form-{name}", str(value))
    page.click(".generate-button")


def drop_file(page: Page, name: str, content: str | bytes, media_type: str = "") -> None:
    """Let a file fall on the page."""
    encoded = base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
    page.evaluate(
        """([name, encoded, type]) => {
            const content = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([content], name, {type}));
            const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
            document.querySelector("#generate").dispatchEvent(event);
        }""",
        [name, encoded, media_type],
    )
