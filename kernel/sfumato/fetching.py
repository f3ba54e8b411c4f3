"""Files fetched from addresses that strangers name, without lending them this machine's place in its network.

A server that fetches whatever it is told can be made to ask its own router, its own database or a cloud's
metadata service (server-side request forgery, OWASP). So a host is looked up once, each address it has must
be one of the open internet, and the connection goes to the address that was checked: a name that answers
differently the second time gains nothing. Redirects are checked like the first address.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from sfumato.errors import BadInput, SfumatoError

MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
CHUNK = 64 * 1024
PORTS = {"http": 80, "https": 443}

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""Addresses of IPv6 that lead to IPv4 (RFC 6052, RFC 8215)."""
_6TO4 = ipaddress.ip_network("2002::/16")
_TEREDO = ipaddress.ip_network("2001::/32")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class _Limits:
    """Attributes: deadline: By `time.monotonic`."""

    allow_local: bool
    bytes: int
    deadline: float
    seconds: float

    def left(self) -> float:
        """Seconds that remain; raises `SfumatoError` when none do."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise SfumatoError("The address took too long.", why=f"The limit is {self.seconds:g} seconds.")
        return remaining


def fetch(url: str, *, allow_local: bool = False, limit_bytes: int, timeout: float) -> bytes:
    """What lies at an address, whatever its server says that it is.

    Args:
        url: Of http or https, without user and password.
        allow_local: Whether hosts of this machine and its networks may be asked, too.
        limit_bytes: More are not read.
        timeout: Seconds for all of it, redirects included.

    Raises:
        BadInput: the address may not be fetched, or what lies there is too large.
        SfumatoError: it does not answer, or not with success.
    """
    limits = _Limits(allow_local, limit_bytes, time.monotonic() + timeout, timeout)
    for _ in range(MOST_REDIRECTS + 1):
        content, target = _fetch_once(_parsed(url), limits)
        if not target:
            return content
        url = urljoin(url, target)
    raise BadInput(
        "The address leads from one to the next without end.", why=f"More than {MOST_REDIRECTS} redirects."
    )


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, also the one within those that wrap another."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _wrapped(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to it end at."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _6TO4:
        return address.sixtofour
    if address in _TEREDO and address.teredo is not None:
        return address.teredo[1]
    if int(address) >> 32 == 0:  # IPv4-compatible, RFC 4291: out of use, but some stacks still know them
        return ipaddress.IPv4Address(int(address))
    return None


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises for what is no number)
    except ValueError as error:
        raise BadInput("That is no address.", why=f"{error}.") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise BadInput("Only addresses of http and https are fetched.")
    if parts.username is not None or parts.password is not None:
        raise BadInput("An address with a user's name or a password is not fetched.")
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise BadInput("That is no address.", why="It has blanks or control characters in it.")
    return parts


def _fetch_once(parts: SplitResult, limits: _Limits) -> tuple[bytes, str]:
    """The content, or where it leads to."""
    connection = _Pinned(parts, limits)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", path, headers={"User-Agent": "sfumato", "Accept-Encoding": "identity"})
        response = connection.getresponse()
        if response.status in REDIRECTS:
            return b"", response.getheader("Location") or ""
        if response.status != 200:
            raise SfumatoError("The address cannot be fetched.", why=f"Its server answers {response.status}.")
        return _read(response, limits), ""
    except (OSError, http.client.HTTPException, ValueError) as error:
        limits.left()
        raise SfumatoError(
            "The address cannot be fetched.", why=f"{type(error).__name__}: {error}."
        ) from error
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, limits: _Limits) -> bytes:
    content = bytearray()
    while chunk := response.read1(CHUNK):
        content += chunk
        if len(content) > limits.bytes:
            raise BadInput(
                "What lies at the address is too large.",
                why=f"The limit is {limits.bytes / 1e6:g} megabytes.",
            )
    limits.left()
    if response.length:
        raise SfumatoError("The address cannot be fetched.", why="Its server stopped in the middle.")
    return bytes(content)


class _Pinned(http.client.HTTPConnection):
    """A connection to an address of the host that was looked up once and checked; cut when time is up.

    A server may send a byte a second for ever, which no limit of the single read would notice.
    """

    def __init__(self, parts: SplitResult, limits: _Limits) -> None:
        super().__init__(parts.hostname or "", parts.port or PORTS[parts.scheme])
        self._secure = parts.scheme == "https"
        if self._secure:
            self.default_port = PORTS["https"]  # which the header Host leaves out
        self._limits = limits
        self._raw: socket.socket | None = None
        self._end: threading.Timer | None = None

    def connect(self) -> None:
        self._raw = self._connected()
        self._end = threading.Timer(self._limits.left(), self._cut)
        self._end.daemon = True
        self._end.start()
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(self._raw, server_hostname=self.host)
            self._raw = self.sock
        else:
            self.sock = self._raw

    def _connected(self) -> socket.socket:
        failure = OSError("it has no address")
        for address in _checked_addresses(self.host, self.port, self._limits):
            try:
                return socket.create_connection((str(address), self.port), self._limits.left())
            except OSError as error:
                failure = error
        raise failure

    def _cut(self) -> None:
        if self._raw is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._raw, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._end is not None:
            self._end.cancel()
        super().close()


def _checked_addresses(host: str, port: int, limits: _Limits) -> list[Address]:
    """The host's addresses; raises `BadInput` when one of them is not of the open internet."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SfumatoError("The address cannot be fetched.", why=f"There is no host '{host}'.") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not limits.allow_local and not all(map(is_public, addresses)):
        raise BadInput(
            "That address may not be fetched.",
            why=f"The host '{host}' is on this machine or in its own network.",
        )
    return list(dict.fromkeys(addresses))
