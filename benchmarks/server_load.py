"""Many clients at once: progress polled while a job runs and a long queue waits.

A hundred clients, each on a connection of its own, poll the progress as A1111's clients do (or the job as
ours do) while one job draws and a thousand wait. Told are latency, requests a second, the web process's CPU a
request and its memory; a request without a complete answer is lost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.server import Server, free_port, serving, sfumato_command
from benchmarks.timing import Report

LONG = {"prompt": "a red apple", "steps": 1000, "count": 1000, "seed": 1}


@dataclass
class Poller:
    """One client: asks again and again, a pause between."""

    server: Server
    path: str
    pause: float
    ends: float
    seconds: list[float] = field(default_factory=list)
    lost: int = 0

    def run(self) -> None:
        connection = self.server.connect()
        while time.monotonic() < self.ends:
            started = time.perf_counter()
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                whole = json.loads(answer.read())
                self.lost += answer.status != 200 or not whole
            except (OSError, ValueError):
                self.lost += 1
                connection.close()
                connection = self.server.connect()
            self.seconds.append(time.perf_counter() - started)
            time.sleep(self.pause)
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a short run: for trying the benchmark out")
    parser.add_argument("--clients", type=int, default=100, metavar="N")
    parser.add_argument("--queued", type=int, default=1000, metavar="N", help="jobs that wait")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="N", help="of polling, for each case")
    parser.add_argument("--pause", type=float, default=0.2, metavar="N", help="seconds between two polls")
    options = parser.parse_args()
    if options.quick:
        options.clients, options.queued, options.seconds = 10, 50, 2.0
    report = Report(
        "server_load",
        "Clients that poll beside a running job and a long queue",
        "no request lost",
        {
            "clients": options.clients,
            "queued jobs": options.queued,
            "seconds": options.seconds,
            "pause s": options.pause,
        },
    )
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        with serving(sfumato_command(folder, port), port, "/api/v1/", log=folder / "log") as server:
            before = server.memory()
            running, submit_seconds = _fill(server, options.queued)
            report.rows.append(
                {"case": f"submit {options.queued} jobs in one request", "total s": round(submit_seconds, 3)}
            )
            for case, path in (
                ("A1111 progress with preview", "/sdapi/v1/progress"),
                ("A1111 progress, no picture", "/sdapi/v1/progress?skip_current_image=true"),
                ("a job of ours", f"/api/v1/jobs/{running}"),
                ("the list of jobs, 50", "/api/v1/jobs?limit=50"),
                ("jobs waiting", "/api/v1/jobs/waiting?limit=50"),
            ):
                report.rows.append(_polled(server, case, path, options))
            waiting = server.ask("POST", "/api/v1/jobs/cancel", {"states": ["queued", "running"]})
            report.rows.append(
                {
                    "case": "memory of the web process",
                    "MiB before": round(before / 2**20),
                    "MiB after": round(server.memory() / 2**20),
                    "cancelled": waiting.get("cancelled", 0),
                }
            )
    report.finish()


def _fill(server: Server, queued: int) -> tuple[str, float]:
    """One long job that has begun, and many behind it; returns the first one's id."""
    running = server.ask("POST", "/api/v1/jobs", {"kind": "generate", "request": LONG})["id"]
    short = {"kind": "generate", "request": {"prompt": "a pear", "steps": 2}}
    started = time.perf_counter()
    server.ask("POST", "/api/v1/jobs/batch", {"jobs": [short] * queued})
    seconds = time.perf_counter() - started
    for _ in range(600):
        progress = server.ask("GET", f"/api/v1/jobs/{running}")["progress"]
        if progress and progress["step"] > 5:
            return running, seconds
        time.sleep(0.1)
    raise RuntimeError("the job did not begin")


def _polled(
    server: Server, case: str, path: str, options: argparse.Namespace
) -> dict[str, str | float | int]:
    ends = time.monotonic() + options.seconds
    clients = [Poller(server, path, options.pause, ends) for _ in range(options.clients)]
    threads = [threading.Thread(target=client.run) for client in clients]
    cpu = server.cpu_seconds()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu = server.cpu_seconds() - cpu
    seconds = sorted(second for client in clients for second in client.seconds)

    def percentile(share: float) -> float:
        return round(seconds[min(int(len(seconds) * share), len(seconds) - 1)] * 1000, 2)

    return {
        "case": case,
        "requests": len(seconds),
        "lost": sum(client.lost for client in clients),
        "requests/s": round(len(seconds) / options.seconds, 1),
        "p50 ms": percentile(0.5),
        "p99 ms": percentile(0.99),
        "CPU us a request": round(cpu / len(seconds) * 1e6),
        "MiB": round(server.memory() / 2**20),
    }


if __name__ == "__main__":
    main()
