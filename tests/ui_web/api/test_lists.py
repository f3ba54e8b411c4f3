"""What there is to choose from: models, samplers, queries, schemas."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image

from sfumato.studio import Studio


@pytest.mark.parametrize(
    "path",
    [
        "samplers",
        "schedulers",
        "stages",
        "face-restorers",
        "upscalers",
        "adapters",
        "models",
        "queries",
        "tasks",
    ],
)
def test_each_list_names_what_is_registered(client: FlaskClient, studio: Studio, path: str) -> None:
    items = client.get(f"/api/v1/{path}").json["items"]
    names = {item["name"] for item in items}
    registry = getattr(studio.registries, path.replace("-", "_"))
    if path == "tasks":
        assert names == {entry.info.name for entry in registry if entry.info.request}
    elif path not in ("upscalers", "adapters"):
        assert names == {entry.info.name for entry in registry}
    else:
        assert names >= {"lanczos"} if path == "upscalers" else {"all_blue"}


@pytest.mark.parametrize(
    ("source", "value"),
    [("samplers", "euler"), ("schedulers", "simple"), ("models", "emoji"), ("upscalers", "lanczos"),
     ("loras", "all_blue"), ("request_fields", "hires.denoising_strength"), ("sampler_options", "eta"),
     ("backends", "local"), ("model_families", "flux"), ("quantisations", "nf4")],
)  # fmt: skip
def test_choices_of_form_fields_are_found_by_a_part_of_their_name(
    client: FlaskClient, source: str, value: str
) -> None:
    every = [item["value"] for item in client.get(f"/api/v1/choices/{source}").json["items"]]
    some = [item["value"] for item in client.get(f"/api/v1/choices/{source}?q={value[1:]}").json["items"]]
    assert value in every
    assert value in some
    assert client.get(f"/api/v1/choices/{source}?q=no such thing").json["items"] == []


def test_choices_that_nobody_offers_are_404(client: FlaskClient) -> None:
    assert client.get("/api/v1/choices/zzz").status_code == 404
    assert client.get("/api/v1/choices/withdraw").status_code == 404


def test_a_damaged_model_is_told_as_a_problem_and_the_picture_beside_one_is_served(
    client: FlaskClient, studio: Studio
) -> None:
    folder = Path(studio.settings.general.model_folders[0]) / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "broken.safetensors").write_bytes(b"no header")
    source = Path(str(studio.registries.models.get("emoji").target))
    (folder / "mine.safetensors").symlink_to(source)
    Image.new("RGB", (4, 4)).save(folder / "mine.preview.png")
    answer = client.get("/api/v1/models?fresh=true").json
    assert [problem["name"] for problem in answer["problems"]] == ["broken.safetensors"]
    mine = next(model for model in answer["items"] if model["name"] == "mine")
    assert (mine["family"], mine["size"] > 1e6) == ("flux", True)
    assert client.get(mine["preview_url"], buffered=True).mimetype == "image/png"
    assert client.get("/api/v1/models/emoji/preview").status_code == 404
    assert client.get("/api/v1/models/zzz").status_code == 404
    assert client.get("/api/v1/models/..%2f..%2fetc%2fpasswd").status_code == 404


def test_a_schema_has_what_forms_need(client: FlaskClient) -> None:
    schema = client.get("/api/v1/schemas/generate").json
    assert schema["properties"]["steps"]["group"] == "Sampling"
    assert schema["properties"]["sampler"]["choices"] == "samplers"
    assert client.get("/api/v1/schemas/upscale").json["properties"]["images"]["picture"] is True
    assert client.get("/api/v1/schemas/zzz").status_code == 404


def test_a_question_is_answered_at_once(client: FlaskClient) -> None:
    answer = client.post("/api/v1/queries/plan", json={"kind": "generate", "request": {"steps": 3}})
    assert (answer.json["images"], answer.json["steps"]) == (1, 3)


def test_a_question_about_a_file_that_clients_may_not_name_is_403(client: FlaskClient) -> None:
    for query, body in (
        ("read_picture", {"path": "/etc/passwd"}),
        ("plan", {"kind": "generate", "request": {"img2img": {"image": "/etc/passwd"}}}),
    ):
        assert client.post(f"/api/v1/queries/{query}", json=body).status_code == 403


@pytest.mark.parametrize("body", [{"self": 1}, {"query": "x"}, {"context": 1}, {"zzz": 1}])
def test_a_question_with_odd_fields_is_refused(client: FlaskClient, body: dict[str, object]) -> None:
    assert client.post("/api/v1/queries/styles", json=body).status_code == 422


def test_an_unknown_question_is_404(client: FlaskClient) -> None:
    assert client.post("/api/v1/queries/zzz", json={}).status_code == 404
