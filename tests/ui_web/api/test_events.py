"""Events of jobs over a live server: streams and WebSockets, resumed where they broke off."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask.testing import FlaskClient
from simple_websocket import Client, ConnectionClosed

from sfumato.studio import Studio

from ..conftest import LiveServer

WORK = {"prompt": "a", "steps": 1}


@contextmanager
def opened(server: LiveServer, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", path, headers={"Accept": "text/event-stream", **headers})
        yield connection.getresponse()
    finally:
        connection.close()


def next_event(answer: http.client.HTTPResponse) -> dict[str, str]:
    """The fields of the next event that has data."""
    fields: dict[str, str] = {}
    while True:
        line = answer.readline().decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif not line and "data" in fields:
            return fields


@contextmanager
def socket(server: LiveServer, first: Any = None) -> Iterator[Client]:
    connection = Client(f"ws://127.0.0.1:{server.port}/api/v1/events/socket")
    try:
        if first is not None:
            connection.send(first if isinstance(first, str) else json.dumps(first))
        yield connection
    finally:
        with contextlib.suppress(ConnectionClosed):
            connection.close()


def test_a_stream_tells_what_happens_from_now_on(live_server: LiveServer, studio: Studio) -> None:
    before = studio.jobs.submit("generate", WORK)
    with opened(live_server, "/api/v1/events") as answer:
        assert answer.getheader("Content-Type", "").startswith("text/event-stream")
        seen = studio.jobs.last_event()
        assert [answer.readline() for _ in range(3)] == [b"retry: 2000\n", f"id: {seen}\n".encode(), b"\n"]
        job = studio.jobs.submit("generate", WORK)
        event = next_event(answer)
    told = json.loads(event["data"])
    assert (told["job"], told["kind"]) == (job.id, "job_changed")
    assert (event["id"], event["event"]) == (str(told["seq"]), "job_changed")
    assert told["job"] != before.id


def test_a_stream_goes_on_after_the_last_event_that_was_seen(live_server: LiveServer, studio: Studio) -> None:
    first, second, third = (studio.jobs.submit("generate", WORK).id for _ in range(3))
    seen = studio.jobs.events(job=first)[-1].seq
    for path, headers in (
        (f"/api/v1/events?after={seen}", {}),
        ("/api/v1/events", {"Last-Event-ID": str(seen)}),
        ("/api/v1/events?after=0", {"Last-Event-ID": str(seen)}),
    ):
        with opened(live_server, path, **headers) as answer:
            assert [json.loads(next_event(answer)["data"])["job"] for _ in range(2)] == [second, third]


def test_a_stream_without_names_is_for_browsers_that_listen_to_everything(
    live_server: LiveServer, studio: Studio
) -> None:
    studio.jobs.submit("generate", WORK)
    with opened(live_server, "/api/v1/events?named=false&after=0") as answer:
        assert "event" not in next_event(answer)


def test_the_stream_of_a_job_begins_at_its_begin_and_ends_with_it(
    live_server: LiveServer, studio: Studio
) -> None:
    job, other = (studio.jobs.submit("generate", WORK).id for _ in range(2))
    with opened(live_server, f"/api/v1/jobs/{job}/events") as answer:
        assert json.loads(next_event(answer)["data"])["data"]["state"] == "queued"
        studio.jobs.cancel(other)
        studio.jobs.cancel(job)
        event = json.loads(next_event(answer)["data"])
        assert (event["job"], event["data"]["state"]) == (job, "cancelled")
        assert answer.read().strip() == b""  # it is over, and the answer with it


@pytest.mark.parametrize("given", ["x", "-1", "9" * 30, "1.5"])
def test_an_event_that_cannot_be_is_refused(client: FlaskClient, given: str) -> None:
    answer = client.get("/api/v1/jobs", headers={"Last-Event-ID": given})
    assert answer.status_code == 200  # of no concern there
    assert client.get("/api/v1/events", headers={"Last-Event-ID": given}).status_code == 422
    assert client.get(f"/api/v1/events?after={given}").status_code == 422


def test_events_of_a_job_come_as_a_list_page_by_page(client: FlaskClient, studio: Studio) -> None:
    job = studio.jobs.submit("generate", WORK).id
    studio.jobs.cancel(job)
    studio.jobs.retry(job)
    states: list[str] = []
    path = f"/api/v1/jobs/{job}/events?limit=1"
    cursor = ""
    while True:
        page = client.get(path + cursor).json
        states += [event["data"]["state"] for event in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert states == ["queued", "cancelled", "queued"]
    assert client.get(f"/api/v1/jobs/{job}/events?after={studio.jobs.last_event()}").json["items"] == []


def test_a_websocket_tells_what_happens(live_server: LiveServer, studio: Studio) -> None:
    with socket(live_server, {}) as connection:
        assert json.loads(connection.receive(timeout=20)) == {"kind": "connected", "seq": 0}
        job = studio.jobs.submit("generate", WORK)
        told = json.loads(connection.receive(timeout=20))
    assert (told["job"], told["data"]["state"]) == (job.id, "queued")


def test_a_websocket_goes_on_after_the_last_event_that_was_seen(
    live_server: LiveServer, studio: Studio
) -> None:
    first, second = (studio.jobs.submit("generate", WORK) for _ in range(2))
    seen = studio.jobs.events(job=first.id)[-1].seq
    with socket(live_server, {"after": seen}) as connection:
        assert json.loads(connection.receive(timeout=20)) == {"kind": "connected", "seq": seen}
        assert json.loads(connection.receive(timeout=20))["job"] == second.id


@pytest.mark.parametrize("first", ["no json", "[]", '{"after": "x"}', '{"after": -1}', '{"after": true}'])
def test_a_websocket_is_closed_on_what_it_does_not_understand(live_server: LiveServer, first: str) -> None:
    with socket(live_server, first) as connection, pytest.raises(ConnectionClosed) as closed:
        connection.receive(timeout=20)
    assert closed.value.reason == 1008
