"""The application: what plugins break stays their own affair, browsers keep files, errors tell no secrets."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient

from sfumato.errors import SfumatoError
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app

SECRET = "/home/anna/secret/place"


def raises(studio: Studio) -> Blueprint:
    raise ValueError("no picture of mine")


def raises_for_people(studio: Studio) -> Blueprint:
    raise SfumatoError("The lamp is out.", why="It has no oil.", hint="Fill it.")


def raises_of_the_system(studio: Studio) -> Blueprint:
    raise FileNotFoundError("no oil")


def leaves(studio: Studio) -> Blueprint:
    raise SystemExit(3)


def builds_nothing(studio: Studio) -> None:
    return None


def fails_when_asked(studio: Studio) -> Blueprint:
    blueprint = Blueprint("lamp", __name__)

    @blueprint.get("/")
    def root() -> str:
        raise RuntimeError(SECRET)

    return blueprint


BROKEN = [raises, raises_for_people, raises_of_the_system, leaves, builds_nothing]


def add(studio: Studio, kind: str, builder: str, **fields: object) -> FlaskClient:
    """A studio in which a plugin called test brings one thing called lamp."""
    registrar = getattr(studio.registries, kind).registrar("test")
    registrar.add("lamp", f"{__name__}:{builder}", label="Lamp", **fields)
    registrar.commit()
    return create_app(studio).test_client()


@pytest.mark.parametrize("builder", BROKEN, ids=lambda builder: builder.__name__)
def test_a_page_that_cannot_be_built_says_so_and_the_others_are_there(
    studio: Studio, builder: Callable[[Studio], object]
) -> None:
    client = add(studio, "pages", builder.__name__)
    answer = client.get("/lamp/")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert ("The lamp is out." if builder is raises_for_people else "cannot be built") in page
    assert "Traceback" not in page
    assert client.post("/lamp/anything").status_code == 500
    assert client.get("/queue/").status_code == 200
    assert 'href="/lamp/"' in client.get("/queue/").get_data(as_text=True)


def test_routes_that_cannot_be_built_answer_with_a_problem(studio: Studio) -> None:
    client = add(studio, "routes", "raises", address="/lamp")
    for answer in (client.get("/lamp/on"), client.delete("/lamp/")):
        assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
        assert "no picture of mine" in answer.json["detail"]
        assert "sfumato plugins disable test" in answer.json["hint"]
    assert client.get("/api/v1/").status_code == 200


def test_a_panel_that_cannot_be_built_leaves_its_page_whole(studio: Studio) -> None:
    client = add(studio, "panels", "raises", page="queue")
    assert client.get("/queue/").status_code == 200
    assert client.get("/panels/lamp/").status_code == 500


def test_what_nobody_foresaw_has_a_number_and_its_traceback_is_in_the_log_alone(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    client = add(studio, "pages", "fails_when_asked")
    answer = client.get("/lamp/")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 500
    found = re.search(r"number ([0-9a-f]{8})", page)
    assert found
    assert SECRET not in page
    assert found[1] in caplog.text
    assert SECRET in caplog.text


def test_nobody_writes_lines_of_their_own_into_the_log(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/api/v1/odd/<rest>")
    def odd(rest: str) -> str:
        raise RuntimeError("odd")

    with caplog.at_level(logging.ERROR):
        assert app.test_client().get("/api/v1/odd/a%0aWARNING forged").status_code == 500
    assert "forged" in caplog.text
    assert not [line for line in caplog.text.splitlines() if line.startswith("WARNING forged")]


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [("GET", "/none/", 404), ("GET", "/api/v1/none", 404), ("GET", "/static/none.js", 404),
     ("PUT", "/queue/", 405), ("PUT", "/api/v1/jobs", 405)],
)  # fmt: skip
def test_what_is_not_there_is_told_to_people_as_a_page_and_to_programs_as_a_problem(
    client: FlaskClient, method: str, address: str, status: int
) -> None:
    answer = client.open(address, method=method)
    for_programs = address.startswith("/api/")
    assert answer.status_code == status
    assert answer.mimetype == ("application/problem+json" if for_programs else "text/html")
    assert answer.headers["Cache-Control"] == "no-store"
    if for_programs and status == 405:
        assert "POST" in answer.headers["Allow"]


def test_files_of_this_version_are_kept_for_ever_and_others_are_asked_for_again(client: FlaskClient) -> None:
    found = re.search(
        r'href="(/static/css/base\.css\?v=[^"]+)"', client.get("/queue/").get_data(as_text=True)
    )
    assert found
    kept = client.get(found[1])
    assert "immutable" in kept.headers["Cache-Control"]
    for address in ("/static/css/base.css", "/static/css/base.css?v=old"):
        assert client.get(address).headers["Cache-Control"] == "no-cache"
    again = client.get("/static/css/base.css", headers={"If-None-Match": kept.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    packed = client.get(found[1], headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != kept.headers["ETag"]
