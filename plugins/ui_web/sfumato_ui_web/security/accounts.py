"""Who somebody is: by session, token, or user and password."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, TypeVar

from sfumato.errors import BadInput
from sfumato_ui_web.security.guard import Refused
from sfumato_ui_web.security.limiter import LoginLimiter, address_key, user_key
from sfumato_ui_web.security.passwords import hash_password, is_password
from sfumato_ui_web.security.secret_key import secret_key
from sfumato_ui_web.security.user_store import NAME, UserStore

if TYPE_CHECKING:
    from sfumato.studio import Studio

REMEMBERED_SECONDS = 10.0
"""How long what the database said of a session, token or password holds."""
MOST_REMEMBERED = 1000
NOBODY = "scrypt$32768$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
"""The password of who does not exist: refusing them takes as long."""

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Session:
    """A browser that has logged in."""

    user: str
    csrf_token: str


class Accounts:
    """Who may log in to one studio.

    Args:
        always: Somebody has to log in even where no user is known: the address can be reached by others.
        visitor: "user:password" of one more user, for this run.

    Raises:
        BadInput: `visitor` is no user and password.
    """

    def __init__(self, studio: Studio, *, always: bool = False, visitor: str = "") -> None:
        self._studio = studio
        self.store = UserStore(studio.database)
        self.limiter = LoginLimiter()
        self._always = always
        self._visitors = _visitors(visitor)
        self._memory: dict[tuple[str, str], tuple[float, Any]] = {}
        self._lock = threading.Lock()

    @cached_property
    def key(self) -> bytes:
        """The secret of this studio."""
        return secret_key(self._studio.settings.general.data_folder)

    def are_known(self) -> bool:
        """Whether anybody could log in."""
        return bool(self._visitors) or self._remembered("users", "", self.store.has_users)

    def are_needed(self) -> bool:
        """Whether one has to log in."""
        return self._always or self.are_known()

    def local_csrf_token(self) -> str:
        """For pages that need no session."""
        return self._derived(b"csrf")

    def log_in(self, user: str, password: str, address: str) -> str:
        """Begin a session.

        Returns:
            Its id, which the browser keeps.

        Raises:
            Refused: they are not user and password, or too many tries were wrong.
        """
        self._check_password(user, password, address)
        identifier = secrets.token_urlsafe(32)
        self.store.add_session(identifier, user, self._credential(user) or "")
        return identifier

    def log_out(self, environ: dict[str, Any]) -> None:
        """End the session of a request, if it has one."""
        identifier = _cookie(environ)
        if identifier:
            self.store.remove_session(identifier)
            with self._lock:
                self._memory.pop(("session", identifier), None)

    def session(self, environ: dict[str, Any]) -> Session | None:
        """The session of a request, unless it is over."""
        identifier = _cookie(environ)
        if not identifier:
            return None
        user = self._remembered("session", identifier, lambda: self._user_of_session(identifier))
        return None if user is None else Session(user, self._derived(b"csrf:" + identifier.encode()))

    def user_of_token(self, token: str, address: str) -> str:
        """Raises `Refused` for one that is none."""
        user = self._remembered("token", token, lambda: self.store.user_of_token(token))
        if user is None:
            self.limiter.begin(address_key(address))
            raise Refused(401, "The token is not known.", "'sfumato users token' makes one.")
        return user

    def user_of_basic(self, credentials: str, address: str) -> str:
        """The user of HTTP Basic (RFC 7617); raises `Refused`."""
        try:
            user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            user = colon = password = ""
        if not colon:
            raise Refused(400, "The credentials cannot be read.")
        digest = self._derived(f"basic:{user}:{password}".encode())
        stored = self._credential(user)
        if stored is None or self._recall("basic", digest) != stored:
            self._check_password(user, password, address)
            self._keep("basic", digest, stored, 30 * REMEMBERED_SECONDS)
        return user

    def _check_password(self, user: str, password: str, address: str) -> None:
        keys = (address_key(address), user_key(user))
        self.limiter.begin(*keys)
        stored = self._credential(user)
        right = is_password(password, stored or NOBODY)
        if stored is None or not right:
            raise Refused(401, "User or password is wrong.", challenge=True)
        self.limiter.succeeded(*keys)

    def _credential(self, user: str) -> str | None:
        if user in self._visitors:
            return self._visitors[user]
        return self._remembered("credential", user, lambda: self.store.password_of(user))

    def _user_of_session(self, identifier: str) -> str | None:
        kept = self.store.session(identifier)
        return kept.user if kept and kept.credential == self._credential(kept.user) else None

    def _derived(self, what: bytes) -> str:
        return hmac.new(self.key, what, hashlib.sha256).hexdigest()

    def _remembered(self, kind: str, name: str, find: Callable[[], Kept]) -> Kept:
        found: Any = self._recall(kind, name, _NOTHING)
        if found is _NOTHING:
            found = find()
            self._keep(kind, name, found, REMEMBERED_SECONDS)
        kept: Kept = found
        return kept

    def _recall(self, kind: str, name: str, otherwise: Any = None) -> Any:
        until, value = self._memory.get((kind, name), (0.0, None))
        return value if time.monotonic() < until else otherwise

    def _keep(self, kind: str, name: str, value: Any, seconds: float) -> None:
        with self._lock:
            if len(self._memory) >= MOST_REMEMBERED:
                self._memory.clear()
            self._memory[kind, name] = (time.monotonic() + seconds, value)


_NOTHING = object()


def cookie_name(environ: dict[str, Any]) -> str:
    """Browsers share cookies among the ports of a machine, so each studio's has its port."""
    return f"sfumato_session_{environ.get('SERVER_PORT', '')}"


def _cookie(environ: dict[str, Any]) -> str:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(cookie_name(environ))
    except CookieError:
        return ""
    return found.value if found else ""


def _visitors(text: str) -> dict[str, str]:
    if not text:
        return {}
    user, _, password = text.partition(":")
    if not NAME.fullmatch(user) or not password:
        raise BadInput("That is no user and password.", hint="Write --auth user:password.")
    return {user: hash_password(password)}
