"""One gate for every request, before Flask, short-cuts and WebSockets alike."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato_ui_web.security import headers, origins

if TYPE_CHECKING:
    from sfumato_ui_web.security.accounts import Accounts

LOCAL_USER = "local"
OPEN_ADDRESSES = ("/login", "/favicon.ico")
OPEN_FOLDERS = ("/static/", "/static-i18n/")
"""What is answered before one has logged in."""
OWN_FORMS = ("/login", "/logout", "/language")
"""Plain forms, which cannot send a header; who answers them checks their field."""


class Refused(Exception):
    """The request is not answered.

    Attributes:
        retry_after: Seconds after which it may be tried again.
        challenge: Whether a browser may ask for user and password by itself (HTTP Basic).
    """

    def __init__(
        self, status: int, title: str, hint: str = "", *, retry_after: int = 0, challenge: bool = False
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.hint = hint
        self.retry_after = retry_after
        self.challenge = challenge


@dataclass(frozen=True)
class Admitted:
    """Who asks, and the token that forms of their session carry."""

    user: str
    csrf_token: str = ""


class Guard:
    """Checks host, origin, user and CSRF token of a request, given as its WSGI environ.

    Args:
        accounts: Users, sessions and tokens.
        host: The address the server is bound to.
        trusted_hosts: Further names of it.
        cors_origins: Origins of other pages that may use the APIs.
        is_page: Whether a path is a page that links elsewhere may lead to.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        host: str = "127.0.0.1",
        trusted_hosts: tuple[str, ...] = (),
        cors_origins: tuple[str, ...] = (),
        is_page: Callable[[str], bool] = lambda path: True,
    ) -> None:
        self.accounts = accounts
        self.host = host
        self._names = {name.lower().rstrip(".") for name in (host, *trusted_hosts)}
        self._loopback_only = origins.is_loopback(host)
        self.cors_origins = frozenset(origin.lower().rstrip("/") for origin in cors_origins)
        self._is_page = is_page

    def admit(self, environ: dict[str, Any], *, basic: bool = False) -> Admitted:
        """Who asks.

        Raises:
            Refused: the request is not to be answered.
        """
        self._check_host(environ)
        foreign = self._check_origin(environ)
        admitted = self._identify(environ, basic=basic, cookies=not foreign)
        if admitted is None:
            path = environ.get("PATH_INFO", "")
            if path in OPEN_ADDRESSES or path.startswith(OPEN_FOLDERS):
                return Admitted("", self.accounts.local_csrf_token())
            raise Refused(401, "Log in first.", challenge=basic)
        return admitted

    def headers(self, environ: dict[str, Any], *, private: bool) -> list[tuple[str, str]]:
        """What every answer carries."""
        found = dict(headers.EVERYWHERE)
        if private:
            found.update((headers.PRIVATE,))
        if origins.is_allowed_foreign(environ, self.cors_origins):
            found.update(headers.for_foreign_page(environ["HTTP_ORIGIN"]))
        return list(found.items())

    def is_preflight(self, environ: dict[str, Any]) -> bool:
        """Whether a browser asks on behalf of an allowed foreign page if it may ask."""
        return (
            environ.get("REQUEST_METHOD") == "OPTIONS"
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            and origins.is_allowed_foreign(environ, self.cors_origins)
        )

    def _check_host(self, environ: dict[str, Any]) -> None:
        name = origins.host_name(environ.get("HTTP_HOST", ""))
        if not name:
            raise Refused(400, "The request names no host.")
        if origins.is_loopback(name) or name in self._names:
            return
        if not self._loopback_only and origins.is_address(name):
            return
        raise Refused(
            421,
            f"This studio is not called '{name[:100]}'.",
            "If that is a name of this machine, add it to the setting web.trusted_hosts.",
        )

    def _check_origin(self, environ: dict[str, Any]) -> bool:
        """Whether an allowed foreign page asks; one that is not allowed is refused."""
        if not origins.is_foreign(environ):
            return False
        if origins.is_allowed_foreign(environ, self.cors_origins):
            return True
        if origins.is_visit(environ) and self._is_page(environ.get("PATH_INFO", "")):
            return False
        raise Refused(
            403,
            "A page of another site asked for this.",
            "If you trust it, add its origin to the setting web.cors_origins.",
        )

    def _identify(self, environ: dict[str, Any], *, basic: bool, cookies: bool) -> Admitted | None:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        address = environ.get("REMOTE_ADDR", "")
        if not self.accounts.are_needed():
            token = self.accounts.local_csrf_token()
            if cookies:
                self._check_csrf(environ, token, always=False)
            return Admitted(LOCAL_USER, token)
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return Admitted(self.accounts.user_of_token(credentials.strip(), address))
        if basic and scheme.lower() == "basic":
            return Admitted(self.accounts.user_of_basic(credentials.strip(), address))
        session = self.accounts.session(environ) if cookies else None
        if session is None:
            return None
        self._check_csrf(environ, session.csrf_token, always=True)
        return Admitted(session.user, session.csrf_token)

    def _check_csrf(self, environ: dict[str, Any], token: str, *, always: bool) -> None:
        """Unsafe requests of browsers carry the token of their page.

        Args:
            always: Whether programs need it too, because the cookie alone says who asks.
        """
        if environ.get("REQUEST_METHOD", "GET") in origins.SAFE_METHODS:
            return
        if not always and not origins.is_from_browser(environ):
            return
        if environ.get("PATH_INFO") in OWN_FORMS:
            return
        given = environ.get("HTTP_X_CSRF_TOKEN", "")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise Refused(403, "The page is out of date.", "Load it again.")
