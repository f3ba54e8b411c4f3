"""Passwords are kept as scrypt hashes (RFC 7914), tokens as SHA-256 of what is random anyway."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

COST, BLOCK, PARALLEL = 2**15, 8, 1
MOST_MEMORY = 64 * 1024 * 1024
SHORTEST = 8
TOKEN_PREFIX = "sfu_"


def hash_password(password: str) -> str:
    """As it is stored: "scrypt$<cost>$<salt>$<hash>"."""
    salt = secrets.token_bytes(16)
    return f"scrypt${COST}${_text(salt)}${_text(_derive(password, salt, COST))}"


def is_password(password: str, stored: str) -> bool:
    """Takes as long for a wrong one as for the right one."""
    _, cost, salt, expected = stored.split("$")
    return hmac.compare_digest(_text(_derive(password, _bytes(salt), int(cost))), expected)


def new_token() -> str:
    """A token as its owner sees it, once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Of a token or a session's id: both have 256 random bits, so that no salt or cost is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _derive(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=BLOCK, p=PARALLEL, maxmem=MOST_MEMORY, dklen=32
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
