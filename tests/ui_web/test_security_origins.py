"""A hostile page in the user's browser cannot drive the studio, nor read from it."""

from __future__ import annotations

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from sfumato_ui_web.core import core_of

CHANGING = "/api/v1/changing"
TOLD = "/api/v1/told"
EVIL = "https://evil.example"


@pytest.fixture
def app(app: Flask) -> Flask:
    """The application with a route that changes something and one that tells something."""

    @app.post(CHANGING)
    def change() -> str:
        return f"changed by {request.get_data(as_text=True)}"

    @app.get(TOLD)
    def tell() -> dict[str, str]:
        return {"secret": "apple"}

    return app


def csrf_token(app: Flask) -> str:
    return core_of(app).guard.accounts.local_csrf_token()


def test_a_program_that_is_no_browser_needs_nothing_on_this_machine(client: FlaskClient) -> None:
    assert client.post(CHANGING, json={}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Referer": f"{EVIL}/page"},
        {
            "Origin": EVIL,
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        },
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        {"data": {"prompt": "a form"}},
        {"data": '{"prompt": "as text"}', "content_type": "text/plain"},
        {"json": {"prompt": "fetched"}},
    ],
)
def test_another_sites_page_changes_nothing(
    app: Flask, client: FlaskClient, headers: dict[str, str], body: dict[str, object]
) -> None:
    given = {**headers, "X-CSRF-Token": csrf_token(app)}
    answer = client.post(CHANGING, headers=given, **body)  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert answer.mimetype == "application/problem+json"


def test_our_own_page_needs_its_token(app: Flask, client: FlaskClient) -> None:
    ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post(CHANGING, headers=ours).status_code == 403
    assert client.post(CHANGING, headers={**ours, "X-CSRF-Token": "x" * 64}).status_code == 403
    assert client.post(CHANGING, headers={**ours, "X-CSRF-Token": csrf_token(app)}).status_code == 200


def test_the_token_is_in_every_page_and_stays_over_a_restart(app: Flask, client: FlaskClient) -> None:
    from sfumato_ui_web.app import create_app

    assert csrf_token(app) in client.get("/sampler-none/").get_data(as_text=True)
    assert csrf_token(create_app(core_of(app).studio)) == csrf_token(app)


@pytest.mark.parametrize("mode", ["no-cors", "cors", "navigate"])
@pytest.mark.parametrize("destination", ["image", "script", "iframe", "empty"])
def test_another_sites_page_reads_nothing(client: FlaskClient, mode: str, destination: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
    assert client.get(TOLD, headers=headers).status_code == 403
    assert client.get("/generate/", headers=headers).status_code == 403


def test_a_link_elsewhere_leads_to_our_pages_but_not_to_the_api(client: FlaskClient) -> None:
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/generate/", headers=visit).status_code == 200
    assert client.get(TOLD, headers=visit).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "192.168.1.5", "localhost.evil.example", "a b"]
)
def test_a_name_that_was_pointed_at_this_machine_is_refused(client: FlaskClient, host: str) -> None:
    for address in (TOLD, "/generate/", "/static/css/base.css"):
        answer = client.get(address, headers={"Host": host})
        assert answer.status_code in (400, 421)
        assert "apple" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:7860", "127.0.0.1:1", "[::1]:7860", "studio.localhost"]
)
def test_this_machines_own_names_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get(TOLD, headers={"Host": host}).status_code == 200


def test_no_page_is_shown_in_anothers_frame_or_runs_anothers_script(client: FlaskClient) -> None:
    for address in ("/generate/", TOLD, "/none", "/static/css/base.css"):
        headers = client.get(address).headers
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers


def test_what_is_private_is_not_kept_by_caches(client: FlaskClient) -> None:
    assert client.get(TOLD).headers["Cache-Control"] == "no-store"
    assert client.get("/generate/").headers["Cache-Control"] == "no-store"


class TestWithAnAllowedOrigin:
    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, "web.cors_origins": "https://friend.example"}

    def test_its_pages_may_use_the_api(self, client: FlaskClient) -> None:
        friend = {"Origin": "https://friend.example", "Sec-Fetch-Site": "cross-site"}
        answer = client.post(CHANGING, headers=friend)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://friend.example"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        asked = {**friend, "Access-Control-Request-Method": "POST"}
        assert client.options(CHANGING, headers=asked).status_code == 204

    def test_others_still_may_not(self, client: FlaskClient) -> None:
        asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
        answer = client.options(CHANGING, headers=asked)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_short_cuts_before_flask_are_guarded_alike(app: Flask, client: FlaskClient) -> None:
    def answer(environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"short " + environ["sfumato.user"].encode()]

    core_of(app).shortcut("/short", answer)
    found = client.get("/short")
    assert found.data == b"short local"
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/short", headers={"Origin": EVIL}).status_code == 403
    assert client.get("/short", headers={"Host": "evil.example"}).status_code == 421
