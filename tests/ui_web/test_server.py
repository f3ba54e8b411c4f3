"""The server: what is held long keeps nobody waiting, streams flow at once, and the end is orderly."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response

from sfumato.errors import SfumatoError
from sfumato.studio import Studio
from sfumato_ui_web.core import core_of
from sfumato_ui_web.server import StudioServer

from .conftest import LiveServer, StartServer


def get(server: LiveServer, path: str, **headers: str) -> http.client.HTTPResponse:
    """The answer, whose connection ends with it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", path, headers={"Connection": "close", **headers})
    return connection.getresponse()


def status(server: LiveServer, path: str, **headers: str) -> int:
    with get(server, path, **headers) as answer:
        answer.read()
        return answer.status


def raw(server: LiveServer, request: str) -> bytes:
    """All that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def gate(app: Flask) -> Iterator[threading.Event]:
    """Ends the streams of the application; each begins with "data: first"."""
    gate = threading.Event()

    def stream() -> Iterator[str]:
        yield "data: first\n\n"
        gate.wait(20)
        yield "data: last\n\n"

    @app.get("/api/v1/test/events")
    def events() -> Response:
        return Response(stream(), mimetype="text/event-stream")

    @app.get("/quick")
    def quick() -> str:
        return "quick"

    yield gate
    gate.set()


def test_many_streams_leave_the_pool_free_and_flow_at_once(
    start_server: StartServer, gate: threading.Event
) -> None:
    server = start_server(threads=2)
    streams = [get(server, "/api/v1/test/events") for _ in range(12)]
    assert all(stream.readline() == b"data: first\n" for stream in streams)
    assert get(server, "/quick").read() == b"quick"
    gate.set()
    assert all(b"data: last" in stream.read() for stream in streams)


def test_a_client_that_hangs_up_ends_its_stream(start_server: StartServer, app: Flask) -> None:
    ended = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b": alive\n\n"
                ended.wait(0.02)
        finally:
            ended.set()

    app.add_url_rule("/test/events", "endless", lambda: Response(endless(), mimetype="text/event-stream"))
    answer = get(start_server(), "/test/events")
    answer.readline()
    answer.close()
    assert ended.wait(20)


class TestSockets:
    @pytest.fixture
    def app(self, app: Flask) -> Flask:
        def echo(connection: Any, user: str) -> None:
            while True:
                connection.send(f"{user}: {connection.receive()}")

        core_of(app).websocket("/test/socket", echo)
        return app

    @staticmethod
    def connect(server: LiveServer, path: str = "/test/socket", **headers: str) -> Any:
        from simple_websocket import Client

        return Client(f"ws://127.0.0.1:{server.port}{path}", headers=headers)

    def test_both_ends_talk(self, live_server: LiveServer) -> None:
        sockets = [self.connect(live_server) for _ in range(10)]  # more than the pool has threads
        for number, client in enumerate(sockets):
            client.send(f"{number}" * 5000)
        assert [client.receive(20) for client in sockets] == [
            f"local: {n}" + f"{n}" * 4999 for n in range(10)
        ]
        assert status(live_server, "/none") == 404
        for client in sockets:
            client.close()

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
    @staticmethod
    def handshake(server: LiveServer, origin: str) -> bytes:
        """The first line of the answer to a browser's wish for a socket."""
        lines = (
            "GET /test/socket HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Origin: {origin}",
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall("\r\n".join((*lines, "", "")).encode())
            with connection.makefile("rb") as answer:
                return answer.readline()

    def test_our_own_page_gets_one(self, live_server: LiveServer) -> None:
        assert b" 101 " in self.handshake(live_server, live_server.url)

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
    def test_another_sites_page_gets_none(self, live_server: LiveServer, origin: str) -> None:
        assert b" 403 " in self.handshake(live_server, origin)

    def test_the_end_of_the_server_closes_them(self, start_server: StartServer) -> None:
        from simple_websocket import ConnectionClosed

        server = start_server()
        client = self.connect(server)
        client.send("hello")
        client.receive(20)
        server.server.stop()
        with pytest.raises(ConnectionClosed):
            client.receive(20)


def test_a_taken_port_is_told_clearly(live_server: LiveServer, app: Flask) -> None:
    with pytest.raises(SfumatoError, match=rf"Port {live_server.port} .*taken"):
        StudioServer(app, "127.0.0.1", live_server.port)


def test_a_host_may_be_a_name(app: Flask) -> None:
    server = StudioServer(app, "localhost", 0)
    assert server.port
    assert server.url == f"http://localhost:{server.port}/"
    server.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_an_upload_is_refused(start_server: StartServer, app: Flask, chunked: bool) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    server = start_server()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    body: Any = (b"x" * 500 for _ in range(10)) if chunked else b"x" * 5000
    with contextlib.closing(connection):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server has seen enough
            connection.request("POST", "/api/v1/none", body, encode_chunked=chunked)
        assert connection.getresponse().status == 413


def test_a_path_leads_to_no_other_file(live_server: LiveServer) -> None:
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/css/../../app.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/..\\app.py",
    ):
        answer = raw(live_server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert re.match(rb"HTTP/1.1 (400|404|308)", answer), path
        assert b"create_app" not in answer
        assert b"root:" not in answer


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_end(
    tmp_path: Path, told: signal.Signals, studio: Studio
) -> None:
    environ = {**os.environ, "SFUMATO_GENERAL__DATA_FOLDER": str(tmp_path / "data")}
    program = "import sys; from sfumato.cli.program import run; sys.exit(run())"
    command = [sys.executable, "-c", program, "ui", "--port", "0", "--no-workers"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stderr is not None
        try:
            address = next(found for line in process.stderr if (found := re.search(r":(\d+)/", line)))
            connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=60)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                assert connection.getresponse().status == 302
            process.send_signal(told)
            assert process.wait(60) in (0, 130)
        finally:
            process.kill()


def test_a_studio_with_a_damaged_database_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "studio.db").write_bytes(b"no database " * 500)
    program = "import sys; from sfumato.cli.program import run; sys.exit(run())"
    options = ["--set", f"general.data_folder={tmp_path}", "ui", "--port", "0"]
    command = [sys.executable, "-c", program, *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert "studio.db cannot be used" in run.stderr
    assert "Nothing was changed" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_web_process_imports_no_tensor_library(tmp_path: Path) -> None:
    script = f"""
import json, sys
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
settings = {{"general.data_folder": {str(tmp_path)!r}}}
client = create_app(Studio(Settings.load(environ={{}}, overrides=settings)), late_routes=True).test_client()
assert client.get("/", follow_redirects=True).status_code == 200
print(json.dumps([name for name in ("torch", "numpy", "PIL", "sqlalchemy") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
