"""Progress, interrupt and skip while a picture is drawn."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.api_a1111.conftest import TINY, Served, in_base64, picture

LONG = {**TINY, "prompt": "a red apple", "steps": 600}
STATE = {
    "skipped": bool,
    "interrupted": bool,
    "stopping_generation": bool,
    "job": str,
    "job_count": int,
    "job_timestamp": str,
    "job_no": int,
    "sampling_step": int,
    "sampling_steps": int,
}


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def _progress(served: Served, query: str = "") -> dict[str, Any]:
    body: dict[str, Any] = served.get(f"/sdapi/v1/progress{query}").json()
    return body


def _until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it is true; fails when it never is."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail("it never happened")


def _begun(served: Served) -> dict[str, Any]:
    return _until(
        lambda: (told := _progress(served))["state"]["sampling_step"] > 3 and told["progress"] and told
    )


def _draw(served: Served, pool: ThreadPoolExecutor, **fields: Any) -> Future[requests.Response]:
    served.post("/sdapi/v1/txt2img", {"prompt": "warm", **TINY})  # the model is loaded from here on
    return pool.submit(served.post, "/sdapi/v1/txt2img", {**LONG, **fields})


def _info(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.json()["info"])
    return found


def _check_types(told: dict[str, Any]) -> None:
    assert set(told) == {"progress", "eta_relative", "state", "current_image", "textinfo"}
    assert {key: type(value) for key, value in told["state"].items()} == STATE


def test_an_idle_server_says_so(served: Served) -> None:
    told = _progress(served)
    _check_types(told)
    assert (told["progress"], told["eta_relative"], told["current_image"]) == (0.0, 0.0, None)
    assert (told["state"]["job"], told["state"]["job_count"]) == ("", 0)


def test_work_is_told_and_can_be_interrupted(served: Served, background: ThreadPoolExecutor) -> None:
    drawing = _draw(served, background, n_iter=3)
    told = _begun(served)
    _check_types(told)
    assert 0 < told["progress"] < 1
    assert (told["state"]["job_count"], told["state"]["sampling_steps"]) == (3, 600)
    assert told["state"]["job"] == "Batch 1 out of 3"
    shown = _until(lambda: _progress(served)["current_image"])
    assert base64.b64decode(shown).startswith(b"\x89PNG")
    assert _progress(served, "?skip_current_image=true")["current_image"] is None
    assert served.post("/sdapi/v1/interrupt").json() == {}
    info = _info(drawing.result(60))
    assert len(drawing.result().json()["images"]) == len(info["infotexts"]) == 1
    assert info["all_seeds"] == [7, 8, 9]
    idle = _progress(served)
    assert (idle["progress"], idle["state"]["job_count"]) == (0.0, 0)
    assert idle["state"]["interrupted"] is True


def test_skipping_ends_one_batch_alone(served: Served, background: ThreadPoolExecutor) -> None:
    drawing = _draw(served, background, n_iter=2, steps=250)
    _begun(served)
    assert served.post("/sdapi/v1/skip").json() is None
    told = _until(lambda: (told := _progress(served))["state"]["job_no"] == 1 and told)
    assert told["state"]["interrupted"] is False
    assert len(drawing.result(60).json()["images"]) == 2


def test_the_next_work_is_not_interrupted(served: Served) -> None:
    assert served.post("/sdapi/v1/interrupt").json() == {}
    answer = served.post("/sdapi/v1/txt2img", {"prompt": "x", **TINY})
    assert len(answer.json()["images"]) == 1


def test_what_has_not_changed_is_not_sent_again(served: Served) -> None:
    first = served.get("/sdapi/v1/progress")
    again = served.get("/sdapi/v1/progress", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_client_that_polls_keeps_its_connection(served: Served) -> None:
    """Also over answers that have nothing new, and so no body."""
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=60)
    tag, kept = "", None
    for status in (200, 304, 304, 200):
        headers = {"If-None-Match": tag} if status == 304 else {}
        connection.request("GET", "/sdapi/v1/progress", headers=headers)
        kept = kept or connection.sock
        answer = connection.getresponse()
        answer.read()
        tag = answer.headers["ETag"]
        assert (answer.status, connection.sock) == (status, kept)
    connection.close()


def test_previews_can_be_switched_off(served: Served, background: ThreadPoolExecutor) -> None:
    served.post("/sdapi/v1/options", {"live_previews_enable": False})
    try:
        drawing = _draw(served, background, steps=200)
        _begun(served)
        assert _progress(served)["current_image"] is None
        served.post("/sdapi/v1/interrupt")
        drawing.result(60)
    finally:
        served.post("/sdapi/v1/options", {"live_previews_enable": True})


def test_work_is_found_by_the_clients_own_name_for_it(served: Served, background: ThreadPoolExecutor) -> None:
    drawing = _draw(served, background, force_task_id="task(one)")
    _begun(served)
    waiting = background.submit(
        served.post, "/sdapi/v1/txt2img", {**TINY, "prompt": "x", "force_task_id": "task(two)"}
    )
    asked = {"id_task": "task(one)", "id_live_preview": -1}
    told = _until(lambda: (told := served.post("/internal/progress", asked).json())["live_preview"] and told)
    assert (told["active"], told["queued"], told["completed"]) == (True, False, False)
    assert told["live_preview"].startswith("data:image/png;base64,")
    pending = _until(lambda: served.get("/internal/pending-tasks").json()["tasks"])
    assert pending == ["task(two)"]
    served.post("/sdapi/v1/interrupt")
    drawing.result(60)
    waiting.result(60)
    assert served.post("/internal/progress", asked).json()["completed"] is True
    assert served.post("/internal/progress", {"id_task": "nobody's"}).json()["active"] is False


def test_a_client_that_hangs_up_does_not_stop_its_work(served: Served) -> None:
    before = len(served.studio.jobs.list(states=("done",)))
    with pytest.raises(requests.exceptions.RequestException):
        requests.post(f"{served.url}/sdapi/v1/txt2img", json={**LONG, "steps": 60}, timeout=0.1)
    _until(lambda: len(served.studio.jobs.list(states=("done",))) == before + 1)


def test_an_interruption_ends_all_that_a_request_began(
    served: Served, background: ThreadPoolExecutor
) -> None:
    """Several start pictures are several jobs here, of which clients know nothing."""
    start = in_base64(picture())
    body = {**LONG, "prompt": "x", "init_images": [start, start], "batch_size": 2, "n_iter": 2}
    drawing = background.submit(served.post, "/sdapi/v1/img2img", body)
    _begun(served)
    served.post("/sdapi/v1/interrupt")
    info = _info(drawing.result(60))
    assert (len(info["infotexts"]), info["batch_size"], info["all_seeds"]) == (1, 2, [7, 8, 9, 10])
    assert not served.studio.jobs.list(states=("queued", "running"))
