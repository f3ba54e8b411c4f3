"""Languages: which one a request wants, and the texts in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from sfumato.studio import Studio


def set_up(app: Flask, studio: Studio) -> None:
    """Let templates and views translate."""
    from flask_babel import Babel

    Babel(app, default_locale="en")
    app.context_processor(lambda: {"locale": "en", "locales": [("en", "English")]})
