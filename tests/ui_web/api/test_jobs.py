"""/jobs without worker processes: what is queued stays queued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from sfumato.studio import Studio
from sfumato_ui_web.api.job_answers import picture_id
from sfumato_ui_web.api.routes import build

WORK = {"kind": "generate", "request": {"prompt": "a red apple", "steps": 2}}


def submit(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/jobs", json={**WORK, **fields})
    assert answer.status_code in (200, 201)
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture
def ask_as(studio: Studio) -> Any:
    """A client for each user, as behind a log-in."""

    def client(user: str) -> FlaskClient:
        app = Flask("users")
        app.before_request(lambda: setattr(g, "user", user))
        app.register_blueprint(build(studio), url_prefix="/api/v1")
        return app.test_client()

    return client


def test_a_job_is_queued_and_found_again(client: FlaskClient) -> None:
    answer = client.post("/api/v1/jobs", json=WORK)
    assert answer.status_code == 201
    assert answer.json["state"] == "queued"
    assert answer.json["request"]["seed"] >= 0  # drawn now, so that a second attempt makes the same
    assert client.get(f"/api/v1/jobs/{answer.json['id']}").json == answer.json


@pytest.mark.parametrize("by_header", [True, False])
def test_a_key_used_twice_gives_back_the_first_job(client: FlaskClient, by_header: bool) -> None:
    body = WORK if by_header else {**WORK, "key": "once"}
    headers = {"Idempotency-Key": "once"} if by_header else {}
    first = client.post("/api/v1/jobs", json=body, headers=headers)
    second = client.post("/api/v1/jobs", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json["id"] == second.json["id"]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/kind"),
        ({**WORK, "output_folder": "/tmp"}, 422, "/output_folder"),
        ({**WORK, "priority": "high"}, 422, "/priority"),
        ({"kind": "generate", "request": {"steps": 0}}, 422, "/request/steps"),
        ({"kind": "generate", "request": {"img2img": {"image": "/etc/x"}}}, 403, "/request/img2img/image"),
    ],
)
def test_a_job_that_cannot_be_is_refused_with_the_place(
    client: FlaskClient, body: dict[str, Any], status: int, pointer: str
) -> None:
    answer = client.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert pointer in [error["pointer"] for error in answer.json["errors"]]
    assert client.get("/api/v1/jobs").json["items"] == []


def test_an_unknown_kind_of_work_is_told_with_the_nearest(client: FlaskClient) -> None:
    answer = client.post("/api/v1/jobs", json={"kind": "genrate", "request": {}})
    assert answer.status_code == 422
    assert "Generate" in answer.json["hint"]


def test_a_batch_is_queued_whole_or_not_at_all(client: FlaskClient) -> None:
    bad = {"kind": "generate", "request": {"steps": 0}}
    assert client.post("/api/v1/jobs/batch", json={"jobs": [WORK, bad]}).status_code == 422
    assert client.get("/api/v1/jobs").json["items"] == []
    answer = client.post("/api/v1/jobs/batch", json={"jobs": [WORK] * 3})
    assert (answer.status_code, len(answer.json["items"])) == (201, 3)


def test_pages_of_a_list_stay_in_step_while_jobs_are_added(client: FlaskClient) -> None:
    ids = [submit(client)["id"] for _ in range(5)]
    first = client.get("/api/v1/jobs?limit=2").json
    submit(client)
    second = client.get(f"/api/v1/jobs?limit=2&cursor={first['next']}").json
    third = client.get(f"/api/v1/jobs?limit=2&cursor={second['next']}").json
    seen = [job["id"] for page in (first, second, third) for job in page["items"]]
    assert seen == ids[::-1]
    assert third["next"] is None


@pytest.mark.parametrize(
    "query", ["cursor=%00", "cursor=abc", "limit=0", "limit=x", "x=1", "limit=1&limit=2", "state=odd"]
)
def test_a_query_that_means_nothing_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/v1/jobs?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")


def test_jobs_are_listed_by_state_and_kind(client: FlaskClient) -> None:
    waiting, cancelled = submit(client)["id"], submit(client)["id"]
    client.post(f"/api/v1/jobs/{cancelled}/cancel")
    ids = lambda query: [job["id"] for job in client.get(f"/api/v1/jobs?{query}").json["items"]]  # noqa: E731
    assert ids("state=queued") == [waiting]
    assert ids("state=queued,cancelled") == ids("state=queued&state=cancelled") == [cancelled, waiting]
    assert ids("kind=upscale") == []


def test_the_order_of_the_queue_is_changed(client: FlaskClient) -> None:
    first, second, third = (submit(client)["id"] for _ in range(3))
    order = lambda: [job["id"] for job in client.get("/api/v1/jobs/waiting").json["items"]]  # noqa: E731
    assert order() == [first, second, third]
    client.post(f"/api/v1/jobs/{third}/move", json={"before": first})
    assert order() == [third, first, second]
    client.post(f"/api/v1/jobs/{third}/move")
    assert order() == [first, second, third]
    client.post(f"/api/v1/jobs/{second}/priority", json={"priority": 5})
    assert order() == [second, first, third]


def test_what_the_state_of_a_job_forbids_is_409(client: FlaskClient) -> None:
    job = f"/api/v1/jobs/{submit(client)['id']}"
    assert client.post(f"{job}/retry").status_code == 409
    assert client.delete(job).status_code == 409
    assert client.post(f"{job}/cancel").json["state"] == "cancelled"
    assert client.post(f"{job}/cancel").status_code == 200
    assert client.post(f"{job}/move").status_code == 409
    assert client.post(f"{job}/retry").json["state"] == "queued"
    client.post(f"{job}/cancel")
    assert client.delete(job).status_code == 204
    assert client.get(job).status_code == 404


def test_many_are_cancelled_at_once(client: FlaskClient) -> None:
    for _ in range(3):
        submit(client)
    assert client.post("/api/v1/jobs/cancel", json={"lane": "background"}).json == {"cancelled": 0}
    assert client.post("/api/v1/jobs/cancel", json={"lane": "device"}).json == {"cancelled": 3}
    assert client.get("/api/v1/jobs/waiting").json["items"] == []


@pytest.mark.parametrize("path", ["", "/cancel", "/events", "/preview", "/pictures/0", "/retry"])
def test_a_job_that_is_not_there_is_404(client: FlaskClient, path: str) -> None:
    method = client.post if path in ("/cancel", "/retry") else client.get
    answer = method(f"/api/v1/jobs/nothing{path}")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_users_see_and_touch_their_own_jobs_alone(ask_as: Any, client: FlaskClient) -> None:
    anna, ben = ask_as("anna"), ask_as("ben")
    mine, other = submit(anna)["id"], submit(ben)["id"]
    assert [job["id"] for job in anna.get("/api/v1/jobs").json["items"]] == [mine]
    assert [job["id"] for job in anna.get("/api/v1/jobs/waiting").json["items"]] == [mine]
    assert anna.get("/api/v1/jobs?user=ben").json["items"] == []
    for method, path in (("GET", ""), ("POST", "/cancel"), ("DELETE", ""), ("GET", "/events")):
        assert anna.open(f"/api/v1/jobs/{other}{path}", method=method).status_code == 404
    assert anna.post(f"/api/v1/jobs/{mine}/move", json={"before": other}).status_code == 422
    assert anna.post("/api/v1/jobs/cancel", json={}).json == {"cancelled": 1}
    assert ben.get(f"/api/v1/jobs/{other}").json["state"] == "queued"
    assert len(client.get("/api/v1/jobs").json["items"]) == 2  # who is at the machine sees all


def test_uploads_are_shown_by_name_and_other_places_not_at_all_to_those_elsewhere(
    ask_as: Any, client: FlaskClient, studio: Studio
) -> None:
    inside = str(studio.settings.general.output_folder / "1.bmp")
    told = submit(ask_as("anna"), request={"img2img": {"image": inside}})
    assert told["request"]["img2img"]["image"] == "1.bmp"
    assert submit(client, request={"img2img": {"image": inside}})["request"]["img2img"]["image"] == inside


def test_an_estimate_counts_pictures_and_steps_and_queues_nothing(client: FlaskClient) -> None:
    work = {"kind": "generate", "request": {"prompt": "a", "steps": 4, "count": 3, "batch_size": 2}}
    answer = client.post("/api/v1/jobs/estimate", json=work)
    assert answer.json == {"images": 6, "steps": 12, "seconds": None, "problems": []}
    many = client.post("/api/v1/jobs/estimate", json={"jobs": [work, work]})
    assert many.json["images"] == 12
    assert client.get("/api/v1/jobs").json["items"] == []


def test_an_estimate_tells_what_is_wrong(client: FlaskClient) -> None:
    answer = client.post("/api/v1/jobs/estimate", json={"kind": "generate", "request": {"sampler": "zzz"}})
    assert "zzz" in answer.json["problems"][0]


def test_jobs_are_searched_by_words_of_label_or_prompt_and_by_lane(client: FlaskClient) -> None:
    apple = submit(client, label="First try")
    pear = submit(client, request={"prompt": "a 100% green PEAR, ripe"})
    index = submit(client, kind="index_pictures", request={})

    def found(**query: str) -> list[str]:
        return [job["id"] for job in client.get("/api/v1/jobs", query_string=query).json["items"]]

    assert found(q="RED first") == [apple["id"]]
    assert found(q="pear ripe") == found(q="100%") == [pear["id"]]
    assert found(q="1_0") == found(q="pear red") == []  # signs of the database mean nothing
    assert found(lane="background") == [index["id"]]
    assert found(lane="device") == [pear["id"], apple["id"]]


def test_a_long_queue_is_counted_and_its_next_jobs_listed(client: FlaskClient) -> None:
    jobs = client.post("/api/v1/jobs/batch", json={"jobs": [WORK] * 5}).json["items"]
    submit(client, kind="index_pictures", request={})
    answer = client.get("/api/v1/jobs/waiting?limit=2&lane=device").json
    assert [job["id"] for job in answer["items"]] == [job["id"] for job in jobs[:2]]
    assert answer["total"] == 5
    assert client.get("/api/v1/jobs/waiting?limit=0").json == {"items": [], "next": None, "total": 6}


def test_a_job_tells_a_start_picture_that_was_drawn_here_by_its_name(
    client: FlaskClient, studio: Studio
) -> None:
    folder = Path(studio.settings.general.output_folder)
    folder.mkdir(parents=True)
    picture = folder / "00001.png"
    picture.write_bytes(b"a picture")
    start = {"image": f"picture:{picture_id(picture)}"}
    job = submit(client, request={"prompt": "a cat", "img2img": start})
    assert job["request"]["img2img"] == start
    assert Path(studio.jobs.get(job["id"]).request["img2img"]["image"]) == picture
