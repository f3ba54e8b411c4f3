"""Where a request comes from: its Host against DNS rebinding, its Origin against other sites' pages.

A browser tells with ``Origin`` (RFC 6454) and ``Sec-Fetch-Site`` (W3C Fetch Metadata) which page made a
request. Programs send neither, and are no way for a hostile page to come in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address or name."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """The name or address in a Host header, without port; empty when it is none."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises where it is no number
        if parts.username is not None or parts.path or parts.query:
            return ""
        return (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    """Whether it is an IP address: a name server cannot point that elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def own_origin(environ: dict[str, Any]) -> str:
    """The origin of our own pages, as this request reaches us."""
    return f"{environ.get('wsgi.url_scheme', 'http')}://{environ.get('HTTP_HOST', '')}".lower()


def is_from_browser(environ: dict[str, Any]) -> bool:
    return any(name in environ for name in ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_REFERER"))


def is_allowed_foreign(environ: dict[str, Any], allowed: Collection[str]) -> bool:
    """Whether a page of another origin that the settings name made the request."""
    origin = environ.get("HTTP_ORIGIN", "").lower()
    return bool(origin) and origin != own_origin(environ) and origin in allowed


def is_foreign(environ: dict[str, Any]) -> bool:
    """Whether a page of another origin made the request, another port of the same machine included."""
    own = own_origin(environ)
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None:
        return bool(origin.lower() != own)
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in ("same-origin", "none")
    referer = environ.get("HTTP_REFERER")
    if referer and environ.get("REQUEST_METHOD") not in SAFE_METHODS:
        parts = urlsplit(referer)
        return f"{parts.scheme}://{parts.netloc}".lower() != own
    return False


def is_visit(environ: dict[str, Any]) -> bool:
    """Whether a person follows a link to a page of ours: its result is shown, and told to nobody."""
    return (
        environ.get("REQUEST_METHOD") in ("GET", "HEAD")
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
        and "HTTP_ORIGIN" not in environ
    )
