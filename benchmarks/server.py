"""Servers run for benchmarks: ours and peers', each in a process of its own, asked over loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 180.0
"""Seconds that a server may take to answer."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Server:
    """A running server.

    Attributes:
        seconds: Wall time from its start to its first answer.
        cpu: CPU seconds of its process until then.
    """

    process: subprocess.Popen[bytes]
    port: int
    seconds: float = 0.0
    cpu: float = 0.0

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, without its children."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Resident bytes of the process, without its children."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request on a connection of its own; what came back as JSON.

        Raises:
            RuntimeError: the status is none of success.
        """
        connection = self.connect()
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text) if text else None


@contextlib.contextmanager
def serving(
    command: Sequence[str], port: int, path: str, *, cwd: Path | None = None, log: Path | None = None
) -> Iterator[Server]:
    """A server from its start until the block ends; entered once it has answered at `path`.

    Raises:
        RuntimeError: it ended or did not answer in time.
    """
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        output: Any = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        server = Server(process, port)
        try:
            _await_answer(server, path, started)
            server.seconds, server.cpu = time.perf_counter() - started, server.cpu_seconds()
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_answer(server: Server, path: str, started: float) -> None:
    while time.perf_counter() - started < PATIENCE:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended with {server.process.returncode}")
        connection = server.connect()
        try:
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.01)
        finally:
            connection.close()
    raise RuntimeError("the server did not answer in time")


def sfumato_command(folder: Path, port: int, settings: Mapping[str, str] | None = None) -> list[str]:
    """The command line of our server, everything it keeps below `folder`."""
    chosen = {
        "general.data_folder": str(folder / "data"),
        "general.output_folder": str(folder / "outputs"),
        "web.port": str(port),
        **(settings or {}),
    }
    options = [f"--set={key}={value}" for key, value in chosen.items()]
    program = str(Path(sys.executable).parent / "sfumato")
    return [program, f"--config={folder / 'settings.toml'}", *options, "ui"]
