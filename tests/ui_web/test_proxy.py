"""Behind a reverse proxy: it is believed who asks and by which scheme; nobody else is."""

from __future__ import annotations

import socket
from urllib.parse import urlencode

import pytest

from sfumato.studio import Studio
from sfumato_ui_web.security.user_store import UserStore

from .conftest import LiveServer

PASSWORD = "correct horse"
SOCKET = "/api/v1/events/socket"


@pytest.fixture
def server(studio: Studio, live_server: LiveServer) -> LiveServer:
    UserStore(studio.database).set_password("anna", PASSWORD)
    return live_server


def ask(server: LiveServer, line: str, body: str = "", **headers: str) -> str:
    """The head of the answer to a request as a proxy passes it on."""
    fields = {"Host": "localhost", "Content-Length": str(len(body)), "Connection": "close"}
    fields |= {"Content-Type": "application/x-www-form-urlencoded"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\n{text}\r\n{body}".encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (part := connection.recv(65536)):
            answer += part
    return answer.partition(b"\r\n\r\n")[0].decode()


def log_in(server: LiveServer, password: str = PASSWORD, **headers: str) -> str:
    return ask(server, "POST /login", urlencode({"user": "anna", "password": password}), **headers)


class TestTrusted:
    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, "web.trusted_proxy": "127.0.0.1"}

    def test_a_session_by_tls_is_for_tls_alone_and_opens_websockets(self, server: LiveServer) -> None:
        by_tls = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "192.0.2.1", "Origin": "https://localhost"}
        answer = log_in(server, **by_tls)
        assert " 303 " in answer
        cookie = next(line for line in answer.splitlines() if line.startswith("Set-Cookie: "))
        assert "; Secure" in cookie
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Cookie": cookie.removeprefix("Set-Cookie: ").partition(";")[0],
        }
        assert " 101 " in ask(server, f"GET {SOCKET}", **by_tls, **upgrade)
        evil = {**by_tls, "Origin": "https://evil.example"}
        assert " 403 " in ask(server, f"GET {SOCKET}", **evil, **upgrade)
        assert " 400 " in ask(server, f"GET {SOCKET}", **{**by_tls, "X_Forwarded_Proto": "odd"}, **upgrade)

    def test_who_guesses_is_told_from_who_does_not(self, server: LiveServer) -> None:
        answers = [log_in(server, "wrong", X_Forwarded_For="192.0.2.1") for _ in range(6)]
        assert [" 401 " in answer for answer in answers] == [True] * 5 + [False]
        assert " 303 " in log_in(server, X_Forwarded_For="192.0.2.2")


def test_nobody_is_believed_by_default(server: LiveServer) -> None:
    answers = [log_in(server, "wrong", X_Forwarded_For=f"192.0.2.{number}") for number in range(6)]
    assert " 429 " in answers[-1]
    forged = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example"}
    assert " 403 " in log_in(server, Origin="https://evil.example", **forged)
    assert " 403 " in log_in(server, Origin="https://localhost", **forged)
