"""Errors in the shapes that clients of A1111 read; nothing is drawn here."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.studio import Studio
from sfumato_api_a1111.bodies import body_of
from sfumato_api_a1111.errors import Refusal
from sfumato_api_a1111.generation import requests_of
from sfumato_api_a1111.generation_fields import Img2ImgFields, Txt2ImgFields
from sfumato_api_a1111.scripts import SCRIPTS
from sfumato_api_a1111.state import api_of
from sfumato_ui_web.app import create_app
from sfumato_ui_web.security.accounts import Accounts
from tests.api_a1111.conftest import in_base64, picture, settings_in


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/sdapi/v1/nothing", 404, "Not Found"),
        ("/sdapi/v1/txt2img", 405, "Method Not Allowed"),
        ("/sdapi/v1/txt2img/", 405, "Method Not Allowed"),
        ("/sdapi/v1/server-kill", 405, "Method Not Allowed"),
        ("/internal/nothing", 404, "Not Found"),
    ],
)
def test_paths_and_methods_that_there_are_not(
    app_client: FlaskClient, path: str, status: int, detail: str
) -> None:
    answer = app_client.get(path)
    assert (answer.status_code, answer.json) == (status, {"detail": detail})
    assert float(answer.headers["X-Process-Time"]) >= 0


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        (b"", "missing", ["body"]),
        (b"{", "json_invalid", ["body", 1]),
        (b"[]", "model_attributes_type", ["body"]),
        (b'"text"', "model_attributes_type", ["body"]),
        (b"NaN", "json_invalid", ["body", 0]),
        (b"1" * 5000, "json_invalid", ["body", 0]),
        (b"[" * 100_000, "json_invalid", ["body", 0]),
        (b'{"width": 64.5}', "int_from_float", ["body", "width"]),
        (b'{"width": 1e999}', "finite_number", ["body", "width"]),
        (b'{"prompt": ["a"]}', "string_type", ["body", "prompt"]),
        (b'{"styles": "one"}', "list_type", ["body", "styles"]),
        (b'{"override_settings": 1}', "dict_type", ["body", "override_settings"]),
    ],
)
def test_bodies_that_cannot_be_read(
    app_client: FlaskClient, body: bytes, kind: str, place: list[Any]
) -> None:
    answer = app_client.post("/sdapi/v1/txt2img", data=body)
    assert answer.status_code == 422
    problem = answer.json["detail"][0]
    assert (problem["type"], problem["loc"]) == (kind, place)
    assert {"msg", "input"} <= set(problem)


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("img2img", {}, 404, "Init image not found"),
        ("img2img", {"init_images": ["AAAA"]}, 500, "Invalid encoded image"),
        ("img2img", {"init_images": ["%%%"]}, 500, "Invalid encoded image"),
        ("png-info", {"image": "AAAA"}, 500, "Invalid encoded image"),
        ("interrogate", {"image": "AAAA", "model": "nobody"}, 404, "Model not found"),
        ("interrogate", {"image": "AAAA", "model": "clip"}, 501, "No plugin"),
        ("txt2img", {"script_name": "nobody's"}, 422, "Script 'nobody's' not found"),
        ("txt2img", {"alwayson_scripts": {"nobody's": {"args": []}}}, 422, "Script 'nobody's' not found"),
        (
            "txt2img",
            {"alwayson_scripts": {"prompt matrix": {"args": []}}},
            422,
            "Cannot have a selectable script",
        ),
        ("txt2img", {"steps": 0}, 422, "The request cannot be carried out"),
        ("txt2img", {"override_settings": {"nobodys": 1}}, 500, "Unknown option"),
        ("txt2img", {"override_settings": {"samples_format": "tiff"}}, 500, "Invalid image format"),
        ("extra-single-image", {"image": in_base64(picture()), "upscaler_1": "x"}, 500, "could not find"),
        ("options", {"nobodys_option": 1}, 500, "Unknown option"),
        ("options", {"sd_model_checkpoint": "nobody's"}, 500, "Unknown checkpoint"),
        ("server-kill", None, 404, "Not Found"),
        ("server-restart", None, 404, "Not Found"),
        ("create/embedding", {}, 501, "not there yet"),
        ("train/hypernetwork", {}, 501, "not there yet"),
    ],
)
def test_what_is_refused_and_how(
    app_client: FlaskClient, path: str, body: Any, status: int, detail: str
) -> None:
    answer = app_client.post(f"/sdapi/v1/{path}", json=body)
    assert answer.status_code == status
    assert detail in answer.json["detail"]


def test_errors_of_500_have_what_a1111_gives(app_client: FlaskClient) -> None:
    answer = app_client.post("/sdapi/v1/options", json={"nobodys_option": 1})
    assert set(answer.json) == {"error", "detail", "body", "errors"}


def test_shares_out_of_bounds_are_told_by_field(app_client: FlaskClient) -> None:
    body = {"image": in_base64(picture()), "extras_upscaler_2_visibility": 2}
    answer = app_client.post("/sdapi/v1/extra-single-image", json=body)
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", "extras_upscaler_2_visibility"]


def test_all_options_that_were_told_can_be_sent_back(app_client: FlaskClient) -> None:
    told = app_client.get("/sdapi/v1/options").json
    answer = app_client.post("/sdapi/v1/options", json={**told, "send_seed": False})
    assert (answer.status_code, answer.json) == (200, None)
    assert app_client.get("/sdapi/v1/options").json == {**told, "send_seed": False}


def test_options_outlive_the_server(tmp_path: Path) -> None:
    for expected in (True, False):
        studio = Studio(settings_in(tmp_path))
        client = create_app(studio).test_client()
        assert client.get("/sdapi/v1/options").json["enable_pnginfo"] is expected
        client.post("/sdapi/v1/options", json={"enable_pnginfo": False, "api_enable_requests": False})
        assert client.get("/sdapi/v1/options").json["api_enable_requests"] is True
        studio.database.close()


def test_addresses_of_the_own_network_are_not_fetched(app_client: FlaskClient) -> None:
    body = {"init_images": ["http://127.0.0.1:9/picture.png"]}
    answer = app_client.post("/sdapi/v1/img2img", json=body)
    assert answer.status_code == 500
    assert "may not be fetched" in answer.json["detail"]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[FlaskClient]:
    """An application in which somebody has to log in."""
    studio = Studio(settings_in(tmp_path))
    accounts = Accounts(studio, always=True, visitor="anna:a long password")
    yield create_app(studio, accounts=accounts).test_client()
    studio.database.close()


@pytest.mark.parametrize(
    ("authorization", "detail"),
    [
        (None, "Not authenticated"),
        ("", "Not authenticated"),
        ("Digest x", "Not authenticated"),
        ("Basic " + base64.b64encode(b"anna:wrong").decode(), "Incorrect username or password"),
    ],
)
@pytest.mark.parametrize("path", ["options", "progress", "sd-models"])
def test_who_has_not_logged_in_is_told_so(
    guarded: FlaskClient, path: str, authorization: str | None, detail: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = guarded.get(f"/sdapi/v1/{path}", headers=headers)
    assert (answer.status_code, answer.json) == (401, {"detail": detail})
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("path", ["options", "progress", "sd-models"])
def test_user_and_password_open_the_api(guarded: FlaskClient, path: str) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(b"anna:a long password").decode()}
    assert guarded.get(f"/sdapi/v1/{path}", headers=headers).status_code == 200


def test_an_authorization_that_nobody_asks_for_does_not_matter(app_client: FlaskClient) -> None:
    for given_header in ("", "Basic", "Basic Og==", "Bearer x"):
        answer = app_client.get("/sdapi/v1/options", headers={"Authorization": given_header})
        assert answer.status_code == 200


_plain = st.none() | st.booleans() | st.integers(-9, 99) | st.floats(-9, 99) | st.text(max_size=9)
_odd = (
    st.floats() | st.integers() | st.lists(_plain, max_size=3) | st.dictionaries(st.text(max_size=3), _plain)
)
_scripts = st.sampled_from([script.name for script in SCRIPTS])
_of_kind: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-9, 2**33) | st.integers(0, 4).map(str),
    "float": st.floats(-2, 200),
    "bool": st.booleans(),
    "str": st.text(max_size=20),
}
_named: dict[str, st.SearchStrategy[Any]] = {
    "script_name": _scripts,
    "script_args": st.lists(_plain, max_size=20),
    "alwayson_scripts": st.dictionaries(
        _scripts, st.fixed_dictionaries({"args": st.lists(_plain, max_size=8)}), max_size=2
    ),
    "init_images": st.just([in_base64(picture(16, 16))]),
    "mask": st.just(in_base64(picture(16, 16))),
    "override_settings": st.dictionaries(
        st.sampled_from(["CLIP_stop_at_last_layers", "sd_vae", "randn_source", "eta_noise_seed_delta"]),
        _plain,
    ),
}


def _value(name: str, annotation: Any) -> st.SearchStrategy[Any]:
    """Mostly of the field's own type."""
    kind = next((kind for kind in _of_kind if kind in str(annotation)), "str")
    usual = _named.get(name, _of_kind[kind])
    return st.one_of(usual, usual, usual, st.none(), _plain, _odd)


@st.composite
def _bodies(draw: st.DrawFn, model: type[Txt2ImgFields] | type[Img2ImgFields]) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(model.model_fields)), max_size=6, unique=True))
    body = {name: draw(_value(name, model.model_fields[name].annotation)) for name in names}
    if model is Img2ImgFields:
        body.setdefault("init_images", draw(_named["init_images"]))
    return body


_asked = st.one_of(
    *(_bodies(model).map(lambda body, model=model: (model, body)) for model in (Txt2ImgFields, Img2ImgFields))
)


@settings(max_examples=150)
@given(asked=_asked)
def test_any_body_is_understood_or_refused(
    app_client: FlaskClient, asked: tuple[type[Txt2ImgFields] | type[Img2ImgFields], dict[str, Any]]
) -> None:
    """Whatever is sent, what comes of it is a request that can be queued, or a sentence."""
    from sfumato.errors import BadInput

    app = app_client.application
    api = api_of(app)
    model, body = asked
    with (
        app.test_request_context(method="POST", json=body),
        contextlib.suppress(Refusal, BadInput),
    ):
        fields = body_of(model)
        requests, _ = requests_of(api, fields, api.options.with_overrides(fields.override_settings))
        assert requests


def test_options_sent_back_unchanged_still_follow_the_settings(tmp_path: Path) -> None:
    """Clients send all options back to change one; the others are not fixed by that."""
    for format in ("png", "webp"):
        studio = Studio(settings_in(tmp_path, **{"saving.format": format}))
        client = create_app(studio).test_client()
        told = client.get("/sdapi/v1/options").json
        assert (told["samples_format"], told["send_seed"]) == (format, format == "png")
        client.post("/sdapi/v1/options", json={**told, "send_seed": False})
        studio.database.close()
