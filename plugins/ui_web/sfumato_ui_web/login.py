"""The page to log in, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from sfumato_ui_web.security.accounts import Accounts


def set_up(app: Flask, accounts: Accounts) -> None:
    """Add /login and /logout."""
