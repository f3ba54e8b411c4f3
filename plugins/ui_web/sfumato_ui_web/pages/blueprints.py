"""What all built-in pages begin with."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint

TEMPLATES = Path(__file__).parent.parent / "templates"


def page(name: str) -> Blueprint:
    """An empty blueprint that finds the templates of this plugin."""
    return Blueprint(name, __name__, template_folder=str(TEMPLATES))
