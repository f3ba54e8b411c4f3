"""Users, sessions, tokens, and a limit on guessing."""

from __future__ import annotations

import base64
import logging
import re
import stat
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sfumato.errors import BadInput, UnknownName
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.core import core_of
from sfumato_ui_web.security.guard import Refused
from sfumato_ui_web.security.limiter import LoginLimiter, address_key, user_key
from sfumato_ui_web.security.log_filter import SecretsFilter
from sfumato_ui_web.security.user_store import UserStore

PASSWORD = "correct horse"


@pytest.fixture
def store(studio: Studio) -> UserStore:
    store = UserStore(studio.database)
    assert store.set_password("anna", PASSWORD)
    return store


@pytest.fixture
def app(store: UserStore, studio: Studio) -> Flask:
    """An application whose studio has a user."""
    app = create_app(studio)

    @app.route("/api/v1/who", methods=["GET", "POST"])
    def who() -> str:
        from flask import g

        return str(g.user)

    return app


def log_in(client: FlaskClient, password: str = PASSWORD, user: str = "anna", **more: str):  # type: ignore[no-untyped-def]
    return client.post("/login", data={"user": user, "password": password, **more})


def page_token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/generate/").get_data(as_text=True))
    assert found
    return found[1]


def test_people_are_led_to_the_login_and_programs_are_refused(client: FlaskClient) -> None:
    answer = client.get("/generate/?seed=1")
    assert answer.status_code == 302
    assert answer.location == "/login?next=%2Fgenerate%2F%3Fseed%3D1"
    told = client.get("/api/v1/who")
    assert told.status_code == 401
    assert told.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_login_leads_on_and_its_cookie_is_out_of_reach_of_scripts(client: FlaskClient) -> None:
    answer = log_in(client, next="/queue/")
    assert (answer.status_code, answer.location) == (303, "/queue/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert client.get("/api/v1/who").get_data(as_text=True) == "anna"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\\b"]
)
def test_a_login_leads_nowhere_else(client: FlaskClient, elsewhere: str) -> None:
    assert log_in(client, next=elsewhere).location == "/"


def test_a_session_alone_changes_nothing_without_the_pages_token(client: FlaskClient) -> None:
    log_in(client)
    assert client.post("/api/v1/who").status_code == 403
    headers = {"X-CSRF-Token": page_token(client)}
    assert client.post("/api/v1/who", headers=headers).status_code == 200


def test_two_sessions_have_different_tokens(app: Flask) -> None:
    clients = app.test_client(), app.test_client()
    for client in clients:
        log_in(client)
    first, second = (page_token(client) for client in clients)
    assert first != second
    assert clients[0].post("/api/v1/who", headers={"X-CSRF-Token": second}).status_code == 403


def test_logging_out_ends_the_session_for_whoever_has_its_cookie(app: Flask, client: FlaskClient) -> None:
    cookie = log_in(client).headers["Set-Cookie"].split(";")[0]
    assert client.post("/logout").status_code == 403
    assert client.post("/logout", data={"csrf_token": page_token(client)}).status_code == 303
    stolen = app.test_client(use_cookies=False)
    assert stolen.get("/api/v1/who", headers={"Cookie": cookie}).status_code == 401


def test_a_session_goes_on_after_a_restart_but_not_with_a_new_password(
    client: FlaskClient, studio: Studio, store: UserStore
) -> None:
    cookie = log_in(client).headers["Set-Cookie"].split(";")[0]
    again = create_app(studio).test_client(use_cookies=False)
    assert again.get("/", headers={"Cookie": cookie}).location == "/generate/"
    assert not store.set_password("anna", "another password")
    after = create_app(studio).test_client(use_cookies=False)
    assert "/login" in after.get("/", headers={"Cookie": cookie}).location


def test_tokens_let_programs_in_and_are_kept_as_hashes(
    client: FlaskClient, store: UserStore, studio: Studio
) -> None:
    token = store.add_token("anna", "a script")
    headers = {"Authorization": f"Bearer {token}"}
    assert client.post("/api/v1/who", headers=headers).get_data(as_text=True) == "anna"
    assert client.get("/api/v1/who", headers={"Authorization": f"Bearer {token}x"}).status_code == 401
    studio.database.close()
    folder = Path(studio.settings.general.data_folder)
    assert not [file for file in folder.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]


def test_basic_is_taken_where_routes_say_so_alone(client: FlaskClient) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(f"anna:{PASSWORD}".encode()).decode()}
    assert client.get("/api/v1/who", headers=headers).status_code == 401
    assert client.get("/internal/none", headers=headers).status_code in (404, 500)
    wrong = {"Authorization": "Basic " + base64.b64encode(b"anna:wrong").decode()}
    assert client.get("/internal/none", headers=wrong).status_code == 401


@pytest.mark.parametrize("way", ["form", "basic"])
def test_guessing_is_slowed_down(client: FlaskClient, way: str) -> None:
    def guess() -> int:
        if way == "form":
            return int(log_in(client, "wrong").status_code)
        wrong = {"Authorization": "Basic " + base64.b64encode(b"anna:wrong").decode()}
        return int(client.get("/internal/none", headers=wrong).status_code)

    assert [guess() for _ in range(6)] == [401] * 5 + [429]
    answer = log_in(client)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_each_failure_doubles_the_wait_and_success_ends_it() -> None:
    now = [0.0]
    limiter = LoginLimiter(lambda: now[0])
    waits = []
    for _ in range(9):
        limiter.begin("address:one")
        try:
            limiter.begin("address:one", "user:anna")
        except Refused as refused:
            waits.append(refused.retry_after)
            now[0] += refused.retry_after
    assert waits == [6, 11, 21, 41, 81, 161, 301]
    limiter.succeeded("address:one")
    for _ in range(3):
        limiter.begin("address:one")


def test_who_guesses_from_one_place_does_not_keep_the_user_out(app: Flask) -> None:
    def at(address: str, password: str) -> int:
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = address
        return int(log_in(client, password).status_code)

    assert [at("192.0.2.1", "wrong") for _ in range(7)] == [401] * 5 + [429] * 2
    assert at("192.0.2.2", PASSWORD) == 303


def test_who_guesses_from_many_places_is_slowed_down_too() -> None:
    limiter = LoginLimiter(lambda: 0.0)
    for number in range(50):
        limiter.begin(address_key(f"192.0.2.{number}"), user_key("anna"))
    with pytest.raises(Refused):
        limiter.begin(address_key("192.0.2.99"), user_key("anna"))
    limiter.begin(address_key("192.0.2.99"), user_key("berta"))


def test_a_network_of_ipv6_counts_as_one_address() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:2")
    assert address_key("2001:db8::1") != address_key("2001:db8:0:1::1")
    assert address_key("192.0.2.1") != address_key("192.0.2.2")


def test_a_removed_user_is_out(client: FlaskClient, studio: Studio, store: UserStore) -> None:
    token = store.add_token("anna")
    store.set_password("berta", PASSWORD)
    store.remove("anna")
    fresh = create_app(studio).test_client()
    assert fresh.get("/api/v1/none", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert log_in(fresh).status_code == 401
    with pytest.raises(UnknownName):
        store.remove("anna")


@pytest.mark.parametrize(
    ("name", "password"), [("local", PASSWORD), ("a b", PASSWORD), ("", PASSWORD), ("carl", "short")]
)
def test_names_and_passwords_that_cannot_be_are_refused(store: UserStore, name: str, password: str) -> None:
    with pytest.raises(BadInput):
        store.set_password(name, password)


def test_off_loopback_nothing_starts_without_users(studio: Studio) -> None:
    from sfumato_ui_web.commands import ui

    with pytest.raises(BadInput, match=r"without users") as raised:
        ui(studio, host="0.0.0.0", port=0)
    assert raised.value.exit_code == 2


def test_a_user_for_one_run_can_log_in(studio: Studio) -> None:
    from sfumato_ui_web.security.accounts import Accounts

    client = create_app(studio, accounts=Accounts(studio, visitor="carla:once only")).test_client()
    assert client.get("/api/v1/none").status_code == 401
    assert log_in(client, "once only", "carla").status_code == 303
    with pytest.raises(BadInput):
        Accounts(studio, visitor="no password")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_the_secret_is_readable_by_its_owner_alone(app: Flask, studio: Studio) -> None:
    assert core_of(app).guard.accounts.key
    mode = (Path(studio.settings.general.data_folder) / "web_secret_key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer {}",
        "headers {{'Authorization': 'Basic {}'}}",
        "POST /login password={}&user=anna",
        '{{"password": "{}"}}',
        "postgresql+psycopg://anna:{}@host/db refused",
        "token={}",
        "{{'password': 'two words {}', 'user': 'anna'}}",
        "POST /sdapi/v1/options api_key='some \\' {}'",
        "Cookie: sfumato_session_7860={}",
    ],
)
def test_secrets_do_not_get_into_logs(line: str, caplog: pytest.LogCaptureFixture) -> None:
    secret = "c2VjcmV0cGFzc3dvcmQ"
    caplog.handler.addFilter(SecretsFilter())
    try:
        raise ValueError(line.format(secret))
    except ValueError:
        logging.getLogger("sfumato.test").exception("It failed: %s", line.format(secret))
    assert "It failed" in caplog.text
    assert secret not in caplog.text
