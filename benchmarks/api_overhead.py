"""What the queue and A1111's API add to a picture: a request over HTTP beside the same call in one process.

The picture is the embedded model's, at 64x64 and a few steps: what it costs to draw hides nothing. Both keep
the model loaded; the server draws in its worker process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.server import free_port, serving, sfumato_command
from benchmarks.timing import Report

STEPS = 4
BODY: dict[str, Any] = {
    "prompt": "a red apple",
    "steps": STEPS,
    "width": 64,
    "height": 64,
    "cfg_scale": 1.0,
    "seed": 7,
    "sampler_name": "Euler",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few pictures: for trying the benchmark out")
    options = parser.parse_args()
    rounds = 3 if options.quick else 30
    report = Report(
        "api_overhead",
        "A picture by A1111's API, and by a call of the Studio",
        "no peer: the call alone is the limit",
        {"rounds": rounds, "steps": STEPS},
    )
    with tempfile.TemporaryDirectory() as folder:
        direct = _timed(_directly(Path(folder)), rounds)
        report.rows.append(
            {"way": "Studio().generate", "ms a picture": round(direct * 1e3, 1), "added ms": 0.0}
        )
        for way, seconds in _by_server(Path(folder), rounds).items():
            added = round((seconds - direct) * 1e3, 1)
            report.rows.append({"way": way, "ms a picture": round(seconds * 1e3, 1), "added ms": added})
    report.finish()


def _timed(draw: Callable[[], object], rounds: int) -> float:
    """Median of wall seconds, after one picture that loads the model."""
    draw()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        draw()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _directly(folder: Path) -> Callable[[], object]:
    from sfumato.settings import Settings
    from sfumato.studio import Studio

    overrides = {"general.data_folder": str(folder / "data"), "general.output_folder": str(folder / "direct")}
    studio = Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))
    fields = {key: value for key, value in BODY.items() if key not in ("prompt", "sampler_name")}
    return lambda: studio.generate(BODY["prompt"], sampler="euler", noise_source="nv", **fields)


def _by_server(folder: Path, rounds: int) -> dict[str, float]:
    port = free_port()
    own = folder / "served"
    own.mkdir()
    with serving(sfumato_command(own, port), port, "/sdapi/v1/progress") as server:
        return {
            "POST /sdapi/v1/txt2img": _timed(lambda: server.ask("POST", "/sdapi/v1/txt2img", BODY), rounds),
            "the same, saved": _timed(
                lambda: server.ask("POST", "/sdapi/v1/txt2img", {**BODY, "save_images": True}), rounds
            ),
        }


if __name__ == "__main__":
    main()
