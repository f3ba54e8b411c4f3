"""Users, their sessions and tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sfumato_ui_web.security.secret_key import secret_key

if TYPE_CHECKING:
    from sfumato.studio import Studio


@dataclass(frozen=True)
class Session:
    """A browser that has logged in."""

    user: str
    csrf_token: str


class Accounts:
    """Who may log in to one studio."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @cached_property
    def key(self) -> bytes:
        """The secret of this studio."""
        return secret_key(self._studio.settings.general.data_folder)

    def are_needed(self) -> bool:
        """Whether anybody has to log in."""
        return False

    def local_csrf_token(self) -> str:
        """For pages that need no session."""
        return hmac.new(self.key, b"csrf", hashlib.sha256).hexdigest()

    def session(self, environ: dict[str, Any]) -> Session | None:
        return None

    def user_of_token(self, token: str, address: str) -> str:
        raise NotImplementedError

    def user_of_basic(self, credentials: str, address: str) -> str:
        raise NotImplementedError
