"""What one poll of A1111's progress costs the web process, with and without a preview of 100 KiB.

A server in a process of its own, whose queue has one job that runs and never changes, is asked again and
again over one connection. CPU time is the process's own, by its accounting. Beside it, on waitress too: the
same answer through Flask's routing, encoded anew for each poll, as programs do that know no short-cut; bytes
from a bare WSGI callable; and FastAPI with uvicorn, A1111's stack, where it is installed or where
`--peer-python` names an interpreter that has both. Servers and the asking process get a core each where there
are two. The cheapest of some rounds counts: what else a machine does can only add to it.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.server import free_port, serving
from benchmarks.timing import Report

PREVIEW_BYTES = 100 * 1024
PATH = "/sdapi/v1/progress"
_ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few polls: for trying the benchmark out")
    parser.add_argument("--peer-python", type=Path, help="interpreter with fastapi and uvicorn")
    parser.add_argument("--serve", nargs=3, metavar=("KIND", "PORT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], int(options.serve[1]), Path(options.serve[2]))
        return
    polls = 300 if options.quick else 5000
    report = Report(
        "api_polling",
        "CPU of the web process for one poll of A1111's progress",
        "260 us with a preview; A1111's stack 530, a bare callable on waitress 200",
        {"polls": polls, "preview": f"{PREVIEW_BYTES // 1024} KiB"},
    )
    with tempfile.TemporaryDirectory() as folder:
        prefix = _share_cores()
        for case in _cases(options.peer_python):
            cost = _cost(case, polls, Path(folder), prefix)
            report.rows.append({"server": case.label, "us a poll": round(cost * 1e6), "bytes": case.size})
    report.finish()


@dataclass
class Case:
    """One way to answer, and to ask; `size` is that of the last answer."""

    label: str
    kind: str
    query: str = ""
    tagged: bool = False
    size: int = 0
    python: Path = Path(sys.executable)


def _cases(peer_python: Path | None) -> Iterator[Case]:
    yield Case("sfumato, with preview", "sfumato")
    yield Case("sfumato, preview not wanted", "sfumato", "?skip_current_image=true")
    yield Case("sfumato, nothing new (ETag)", "sfumato", tagged=True)
    yield Case("Flask on waitress, encoded anew", "flask")
    yield Case("bytes from a bare callable on waitress", "callable")
    if peer_python is None and all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))):
        peer_python = Path(sys.executable)
    if peer_python is not None:
        yield Case("FastAPI on uvicorn, encoded anew", "fastapi", python=peer_python)


def _cost(case: Case, polls: int, folder: Path, prefix: Sequence[str]) -> float:
    """CPU seconds a poll; `prefix` begins the server's command."""
    port = free_port()
    own = ["-m", "benchmarks.api_polling", "--serve", case.kind, str(port), str(folder)]
    command = [*prefix, str(case.python), *own]
    with serving(command, port, PATH, log=folder / f"{case.kind}.log") as server:
        connection = server.connect()
        headers: dict[str, str] = {}
        _, tag = _poll(connection, case, headers)
        if case.tagged:
            headers = {"If-None-Match": tag}
        costs = []
        for _ in range(_ROUNDS):
            before = server.cpu_seconds()
            for _ in range(polls // _ROUNDS):
                case.size, _ = _poll(connection, case, headers)
            costs.append((server.cpu_seconds() - before) / (polls // _ROUNDS))
        connection.close()
    return min(costs)


def _share_cores() -> list[str]:
    """Take the first core for this process alone; what begins a command that is to run on the last."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) < 2 or not shutil.which("taskset"):
        return []
    os.sched_setaffinity(0, cores[:1])
    return ["taskset", "-c", str(cores[-1])]


def _poll(connection: http.client.HTTPConnection, case: Case, headers: Mapping[str, str]) -> tuple[int, str]:
    connection.request("GET", PATH + case.query, headers=dict(headers))
    answer = connection.getresponse()
    return len(answer.read()), answer.getheader("ETag") or ""


def serve(kind: str, port: int, folder: Path) -> None:
    """The server's side."""
    _SERVERS[kind](port, folder)


def _running_job() -> Any:
    from sfumato.jobs import Job, JobProgress

    now = datetime.now(UTC)
    progress = JobProgress(
        phase="sampling", step=7, steps=20, fraction=0.35, preview=3, seconds_left=4.2, steps_per_second=3.1
    )
    return Job(
        id="polled",
        number=1,
        kind="generate",
        state="running",
        request={"prompt": "x"},
        progress=progress,
        created=now,
        started=now,
    )


def _sfumato(port: int, folder: Path) -> None:
    """Our server as it is, but for its queue: in it is one job that stays as it is."""
    from sfumato.jobs import Preview
    from sfumato.jobs.queue import JobQueue
    from sfumato.settings import Settings
    from sfumato.studio import Studio
    from sfumato_ui_web.app import create_app
    from sfumato_ui_web.server import StudioServer

    job = _running_job()
    preview = Preview(3, (os.urandom(PREVIEW_BYTES),))

    class Polled(JobQueue):
        def running(self) -> list[Any]:
            super().running()  # what it costs belongs to a poll
            return [job]

        def preview(self, job: str) -> Preview:
            return preview

    overrides = {"general.data_folder": str(folder / "data")}
    studio = Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))
    studio.__dict__["jobs"] = Polled(studio.database, studio.registries)
    StudioServer(create_app(studio), "127.0.0.1", port).run()


def _body() -> dict[str, Any]:
    """An answer with a preview; by no code of ours, which the peer's interpreter may not have."""
    import base64

    return {
        "progress": 0.35,
        "eta_relative": 4.2,
        "state": {
            "skipped": False,
            "interrupted": False,
            "stopping_generation": False,
            "job": "scripts_txt2img",
            "job_count": 1,
            "job_timestamp": "20260101000000",
            "job_no": 0,
            "sampling_step": 7,
            "sampling_steps": 20,
        },
        "current_image": base64.b64encode(os.urandom(PREVIEW_BYTES)).decode(),
        "textinfo": None,
    }


def _flask(port: int, folder: Path) -> None:
    from flask import Flask, Response, jsonify
    from waitress import serve as run

    body, app = _body(), Flask(__name__)

    @app.get(PATH)
    def progress() -> Response:
        return jsonify(body)

    run(app, host="127.0.0.1", port=port)


def _callable(port: int, folder: Path) -> None:
    import json

    from waitress import serve as run

    content = json.dumps(_body()).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", headers)
        return [content]

    run(answer, host="127.0.0.1", port=port)


def _fastapi(port: int, folder: Path) -> None:
    import uvicorn  # type: ignore[import-not-found]
    from fastapi import FastAPI  # type: ignore[import-not-found]
    from pydantic import BaseModel

    class Answer(BaseModel):
        progress: float
        eta_relative: float
        state: dict[str, Any]
        current_image: str | None
        textinfo: str | None

    body, app = _body(), FastAPI()

    @app.get(PATH, response_model=Answer)
    def progress() -> Answer:
        return Answer(**body)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


_SERVERS: Mapping[str, Callable[[int, Path], None]] = {
    "sfumato": _sfumato,
    "flask": _flask,
    "callable": _callable,
    "fastapi": _fastapi,
}

if __name__ == "__main__":
    main()
