"""The way of a picture through the API, drawn by a real worker process."""

from __future__ import annotations

import io
import json
import time
import urllib.request
from typing import Any

import pytest
from PIL import Image

from ..conftest import LiveServer, StartServer

PATIENCE = 180.0
pytestmark = pytest.mark.slow


def ask(server: LiveServer, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(f"{server.url}/api/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def ended(server: LiveServer, job: str) -> dict[str, Any]:
    """The job once its stream of events has ended."""
    url = f"{server.url}/api/v1/jobs/{job}/events"
    request = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
    begin = time.monotonic()
    with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
        for _ in stream:
            assert time.monotonic() - begin < PATIENCE
    found: dict[str, Any] = ask(server, "GET", f"/jobs/{job}")
    return found


def picture_at(server: LiveServer, url: str) -> Image.Image:
    with urllib.request.urlopen(f"{server.url}{url}", timeout=60) as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        return Image.open(io.BytesIO(answer.read()))


def test_a_picture_is_drawn_seen_and_drawn_on_from_an_upload(start_server: StartServer) -> None:
    server = start_server(workers=True)
    work = {"kind": "generate", "request": {"prompt": "a red apple", "steps": 2, "count": 2, "seed": 5}}
    job = ended(server, ask(server, "POST", "/jobs", work)["id"])
    assert (job["state"], job["problem"]) == ("done", None)
    assert [image["seed"] for image in job["images"]] == [5, 6]
    first = picture_at(server, job["images"][0]["url"])
    assert first.size == (job["images"][0]["width"], job["images"][0]["height"])

    file = io.BytesIO()
    first.save(file, "PNG")
    url = f"{server.url}/api/v1/uploads"
    request = urllib.request.Request(url, file.getvalue(), {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        brought = json.load(answer)
    again = {**work["request"], "count": 1, "img2img": {"image": brought["path"]}}
    job = ended(server, ask(server, "POST", "/jobs", {"kind": "generate", "request": again})["id"])
    assert job["state"] == "done"
    assert job["request"]["img2img"]["image"] == brought["path"]
    name = f"picture:{job['images'][0]['id']}"
    again = {**again, "img2img": {"image": name}}
    job = ended(server, ask(server, "POST", "/jobs", {"kind": "generate", "request": again})["id"])
    assert job["state"] == "done"

    estimate = ask(server, "POST", "/jobs/estimate", work)
    assert (estimate["images"], estimate["seconds"] > 0) == (2, True)
    assert [worker["lane"] for worker in ask(server, "GET", "/workers")["items"]] != []
    assert ask(server, "GET", f"/pictures/{job['images'][0]['id']}")["seed"] == job["images"][0]["seed"]
