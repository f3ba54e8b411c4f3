"""Declared endpoints: what comes in is checked, what goes wrong is told as a problem."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from pydantic import Field

from sfumato.errors import SfumatoError, UnknownName
from sfumato_ui_web.endpoints import ListQuery, Message, endpoint, listing, mount, read_cursor


class Note(Message):
    """A note."""

    text: str = Field(max_length=10)
    tags: tuple[str, ...] = ()


class NoteQuery(ListQuery):
    """Which notes."""

    tag: tuple[str, ...] = ()
    since: str | None = Field(default=None, alias="from")


class Notes:
    @endpoint("GET", "/notes", query=NoteQuery, answer=Note, summary="All", tags=("Notes",))
    def all(self, query: NoteQuery) -> dict[str, Any]:
        return listing([*query.tag, query.since], 7)

    @endpoint("POST", "/notes", body=Note, answer=Note, status=201, summary="New", tags=("Notes",))
    def add(self, body: Note) -> Note:
        return body

    @endpoint("GET", "/notes/<name>", answer=Note, summary="One", tags=("Notes",))
    def one(self, name: str) -> Note:
        if name == "odd":
            raise SfumatoError("It is odd.", why="So it is.", hint="Even it.")
        raise UnknownName("note", name if name != "other" else "else", ("first",))

    @endpoint("DELETE", "/notes/<name>", status=204, summary="Gone", tags=("Notes",))
    def remove(self, name: str) -> None:
        return None


@pytest.fixture
def notes() -> FlaskClient:
    app, blueprint = Flask("notes"), Blueprint("notes", "notes")
    mount(blueprint, Notes())
    app.register_blueprint(blueprint)
    return app.test_client()


def test_queries_take_lists_and_names_of_their_own(notes: FlaskClient) -> None:
    answer = notes.get("/notes?tag=a,b&tag=c&from=now").json
    assert answer["items"] == ["a", "b", "c", "now"]
    assert read_cursor(answer["next"]) == "7"


@pytest.mark.parametrize(
    ("data", "type", "status"),
    [
        (b'{"text": "a"}', "application/json", 201),
        (b'{"text": "a"}', "application/merge-patch+json", 201),
        (b'{"text": "a"}', "text/plain", 415),
        (b'{"text": "a"}', "", 415),
        (b"text=a", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"text": NaN}', "application/json", 400),
        (b'{"text": 1e999}', "application/json", 400),
        (b'{"text": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"text": ' + b'{"a":' * 100 + b"1" + b"}" * 101, "application/json", 400),
        (b'{"text": ' + b'{"a":' * 99 + b"1" + b"}" * 100, "application/json", 422),
        (b"\xff\xff", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"text": 1}', "application/json", 422),
        (b'{"text": "a", "more": 1}', "application/json", 422),
        (b'{"text": "12345678901"}', "application/json", 422),
    ],
)
def test_a_body_is_json_of_the_declared_form_or_refused(
    notes: FlaskClient, data: bytes, type: str, status: int
) -> None:
    answer = notes.post("/notes", data=data, content_type=type)
    assert answer.status_code == status
    if status != 201:
        assert answer.mimetype == "application/problem+json"
        assert (answer.json["type"], answer.json["status"]) == ("about:blank", status)
        assert answer.json["title"]


def test_each_wrong_field_is_told_by_a_json_pointer(notes: FlaskClient) -> None:
    answer = notes.post("/notes", json={"text": 1, "tags": ["a", 2], "a/b~c": 0})
    assert {error["pointer"] for error in answer.json["errors"]} == {"/text", "/tags/1", "/a~1b~0c"}


def test_errors_for_people_are_problems_with_their_three_sentences(notes: FlaskClient) -> None:
    answer = notes.get("/notes/odd")
    assert answer.status_code == 500
    assert (answer.json["title"], answer.json["detail"], answer.json["hint"]) == (
        "It is odd.",
        "So it is.",
        "Even it.",
    )


def test_a_name_in_the_path_that_nothing_has_is_404_and_another_one_422(notes: FlaskClient) -> None:
    assert notes.get("/notes/none").status_code == 404
    assert notes.get("/notes/other").status_code == 422


def test_nothing_comes_back_where_nothing_is_declared(notes: FlaskClient) -> None:
    answer = notes.delete("/notes/x")
    assert (answer.status_code, answer.data) == (204, b"")
