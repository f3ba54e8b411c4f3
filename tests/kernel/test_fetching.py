"""Fetching from addresses that strangers name."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sfumato.errors import BadInput, SfumatoError
from sfumato.fetching import MOST_REDIRECTS, fetch, is_public


class Handler(BaseHTTPRequestHandler):
    """Answers by the path that is asked for."""

    def do_GET(self) -> None:
        name, _, rest = self.path.strip("/").partition("/")
        if name == "redirect":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
        elif name == "loop":
            self.send_response(302)
            self.send_header("Location", f"/loop/{int(rest or 0) + 1}")
            self.end_headers()
        elif name == "endless":
            self._dribble()
        elif name == "missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", "9" if name == "cut" else "5")
            self.end_headers()
            self.wfile.write(b"hello")

    def _dribble(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(200):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def _fetched(url: str, *, limit: int = 1000, seconds: float = 10) -> bytes:
    return fetch(url, allow_local=True, limit_bytes=limit, timeout=seconds)


def test_content_is_fetched(address: str) -> None:
    assert _fetched(f"{address}/file") == b"hello"


def test_redirects_are_followed(address: str) -> None:
    assert _fetched(f"{address}/redirect/{address}/file") == b"hello"
    assert _fetched(f"{address}/redirect//file") == b"hello"


def test_redirects_end(address: str) -> None:
    with pytest.raises(BadInput, match=f"More than {MOST_REDIRECTS}"):
        _fetched(f"{address}/loop")


def test_too_much_is_not_read(address: str) -> None:
    with pytest.raises(BadInput, match="too large"):
        _fetched(f"{address}/file", limit=4)


def test_a_server_that_dribbles_is_left_when_time_is_up(address: str) -> None:
    with pytest.raises(SfumatoError, match="too long"):
        _fetched(f"{address}/endless", seconds=0.5)


def test_half_a_file_is_none(address: str) -> None:
    with pytest.raises(SfumatoError, match="cannot be fetched"):
        _fetched(f"{address}/cut")


def test_other_answers_are_told(address: str) -> None:
    with pytest.raises(SfumatoError, match="404"):
        _fetched(f"{address}/missing")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
    ],
)
def test_no_address_of_the_own_network_is_fetched(host: str) -> None:
    with pytest.raises(BadInput, match="may not be fetched"):
        fetch(f"http://{host}:9/", limit_bytes=1, timeout=5)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/x",
        "gopher://example.org/",
        "//example.org/",
        "example.org",
        "http://",
        "http://user@example.org/",
        "http://user:secret@example.org/",
        "http://example.org:port/",
        "http://[::1/",
        "http://example.org/a b",
        "http://example.org/a\r\nX: y",
    ],
)
def test_only_plain_addresses_of_http_are_taken(url: str) -> None:
    with pytest.raises(BadInput):
        fetch(url, limit_bytes=1, timeout=5)


def test_a_redirect_into_the_own_network_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address passes here as one of the open internet would; the second one does not."""
    import sfumato.fetching as fetching

    real = fetching.is_public
    first = ipaddress.ip_address("127.0.0.1")
    monkeypatch.setattr(fetching, "is_public", lambda found: found == first or real(found))
    with pytest.raises(BadInput, match="may not be fetched"):
        fetch(f"{address}/redirect/http://[::1]:9/", limit_bytes=9, timeout=5)
    with pytest.raises(BadInput, match="Only addresses"):
        fetch(f"{address}/redirect/file:///etc/passwd", limit_bytes=9, timeout=5)


def test_the_connection_goes_to_the_address_that_was_checked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked up once: what it would answer the second time does not matter."""
    import socket

    answers = [("127.0.0.1", int(address.rpartition(":")[2]))]

    def looked_up(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host == "rebinding.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", answers.pop())]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    port = address.rpartition(":")[2]
    assert _fetched(f"http://rebinding.example:{port}/file") == b"hello"
    assert answers == []


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_of_the_open_internet_pass(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
