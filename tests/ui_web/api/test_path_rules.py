"""Which files clients may name in requests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato.request import GenerationRequest, GridRequest
from sfumato.studio import Studio
from sfumato_ui_web.api.endpoints import Refusal
from sfumato_ui_web.api.job_answers import picture_id
from sfumato_ui_web.path_rules import PathRules


@pytest.fixture
def rules(studio: Studio) -> PathRules:
    return PathRules(studio)


@pytest.fixture
def output(studio: Studio) -> Path:
    folder = Path(studio.settings.general.output_folder)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A picture beside the folders that may be read."""
    path = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(path)
    return path


def start_picture(rules: PathRules, path: object) -> str:
    request = rules.checked_request("generate", {"img2img": {"image": str(path)}})
    assert isinstance(request, GenerationRequest)
    assert request.img2img is not None
    return str(request.img2img.image)


def refused(rules: PathRules, kind: str, request: dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        rules.checked_request(kind, request)
    return caught.value


def test_a_picture_below_the_output_folder_is_found(rules: PathRules, output: Path) -> None:
    picture = output / "day" / "1.png"
    assert start_picture(rules, picture) == os.path.realpath(picture)


def test_an_upload_is_found_by_its_name(rules: PathRules, secret: Path) -> None:
    brought = rules.uploads.add(secret.read_bytes())
    assert start_picture(rules, brought.name) == str(brought.path)


def test_a_picture_of_the_gallery_is_found_by_its_id(rules: PathRules, output: Path, secret: Path) -> None:
    picture = output / "day" / "1.png"
    picture.parent.mkdir()
    picture.write_bytes(secret.read_bytes())
    assert start_picture(rules, f"picture:{picture_id(picture)}") == str(picture)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{output}/../secret.png",
        "{output}/./../secret.png",
        "../secret.png",
        "secret.png",
        "~/secret.png",
        "//host/share/secret.png",
        "\\\\host\\share\\secret.png",
        "C:\\secret.png",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "http://127.0.0.1/secret.png",
        "{output}x/secret.png",
        "",
        ".",
    ],
)
def test_what_lies_elsewhere_is_refused_however_it_is_written(
    rules: PathRules, output: Path, secret: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(secret.parent)
    error = refused(rules, "generate", {"img2img": {"image": path.format(output=output)}})
    assert error.status == 403
    assert error.wrong[0][0] == "/request/img2img/image"


def test_a_link_out_of_the_output_folder_is_refused(rules: PathRules, output: Path, secret: Path) -> None:
    (output / "link.png").symlink_to(secret)
    (output / "folder").symlink_to(secret.parent, target_is_directory=True)
    for path in (output / "link.png", output / "folder" / "secret.png"):
        assert refused(rules, "generate", {"img2img": {"image": str(path)}}).status == 403


@pytest.mark.parametrize("text", ["a\0b.png", "upload:\0", "x" * 5000])
def test_what_is_no_name_of_a_file_is_refused_before_it_is_looked_for(rules: PathRules, text: str) -> None:
    assert refused(rules, "generate", {"img2img": {"image": text}}).status == 422


@pytest.mark.parametrize(
    "name", ["upload:" + "0" * 32, "upload:../../secret", "picture:" + "0" * 16, "picture:x"]
)
def test_names_that_nothing_has_are_told_as_such(rules: PathRules, output: Path, name: str) -> None:
    error = refused(rules, "generate", {"img2img": {"image": name}})
    assert (error.status, error.wrong[0][0]) == (422, "/request/img2img/image")


@pytest.mark.parametrize(
    ("kind", "request_", "pointer"),
    [
        ("generate", {"img2img": {"image": "{ok}"}, "inpaint": {"mask": "/etc/x"}}, "/request/inpaint/mask"),
        ("generate", {"regions": ["{ok}", "/etc/x"]}, "/request/regions/1"),
        ("upscale", {"images": ["/etc"]}, "/request/images/0"),
        ("upscale", {"images": ["{ok}"], "upscaler": "/etc/x.pth"}, "/request/upscaler"),
        ("generate", {"model": "/etc/x.safetensors"}, "/request/model"),
        ("generate", {"model": "../x"}, "/request/model"),
        ("generate", {"parts": {"autoencoder": "/etc/x"}}, "/request/parts/autoencoder"),
        ("generate", {"refiner": {"model": "./x"}}, "/request/refiner/model"),
        ("generate", {"hires": {"upscaler": "C:/x.pth"}}, "/request/hires/upscaler"),
        ("generate", {"stages": {"s": {"file": "/etc/x"}}}, "/request/stages/s/file"),
        ("generate", {"model_options": {"a": [{"file": "a/../../x"}]}}, "/request/model_options/a/0/file"),
        ("grid", {"base": {"model": "/etc/x"}}, "/request/base/model"),
        ("grid", {"base": {}, "x": {"field": "model", "values": ["emoji", "/etc/x"]}}, "/request/x/values/1"),
        ("grid", {"base": {}, "y": {"field": "VAE", "values": ["/etc/x"]}}, "/request/y/values/0"),
        ("grid", {"base": {}, "prompts": {"file": "/etc/passwd"}}, "/request/prompts/file"),
        ("grid", {"base": {}, "prompts": {"lines": ["--prompt /b --sd_model /x"]}}, "/request/prompts/lines"),
        ("grid", {"base": {}, "pictures": {"folder": "/etc"}}, "/request/pictures/folder"),
        ("replay", {"path": "/etc/x"}, "/request/path"),
        ("replay", {"path": "{ok}", "changes": {"model": "/etc/x"}}, "/request/changes/model"),
    ],
)  # fmt: skip
def test_every_field_that_leads_to_a_file_is_looked_at(
    rules: PathRules, output: Path, kind: str, request_: dict[str, Any], pointer: str
) -> None:
    text = json.dumps(request_).replace("{ok}", str(output / "1.png"))
    error = refused(rules, kind, json.loads(text))
    assert (error.status, error.wrong[0][0]) == (403, pointer)


def test_prompts_are_not_taken_for_paths(rules: PathRules) -> None:
    text = "/imagine ../a file:///b ~c"
    request = rules.checked_request("generate", {"prompt": text, "hires": {"prompt": text}})
    assert isinstance(request, GenerationRequest)
    assert request.prompt == text
    grid = {"base": {}, "x": {"field": "prompt_replace", "values": ["/a", "../b"]}}
    found = rules.checked_request("grid", grid)
    assert isinstance(found, GridRequest)
    assert found.x is not None
    assert found.x.values == ("/a", "../b")


def test_a_list_of_prompts_cannot_lead_out_either(rules: PathRules, output: Path) -> None:
    for entry in ({"model": "/etc/x"}, {"img2img": {"image": "/etc/x"}}):
        brought = rules.uploads.add(json.dumps([{"prompt": "a"}, entry]).encode(), "list.json")
        error = refused(rules, "grid", {"base": {}, "prompts": {"file": brought.name}})
        assert error.status == 403
    brought = rules.uploads.add(b"a cat\n--prompt b --sd_model /etc/x\n", "list.txt")
    assert refused(rules, "grid", {"base": {}, "prompts": {"file": brought.name}}).status == 403


def test_models_go_by_name_or_by_a_path_below_the_model_folders(rules: PathRules, studio: Studio) -> None:
    folder = Path(studio.settings.general.model_folders[0]) / "checkpoints"
    folder.mkdir(parents=True)
    inside = str(folder / "some.safetensors")
    for name in ("emoji", "some", "sub/some", inside):
        request = rules.checked_request("generate", {"model": name})
        assert isinstance(request, GenerationRequest)
        assert request.model == name


def test_a_file_of_the_working_directory_is_no_model_of_a_client(
    rules: PathRules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").write_bytes(b"")
    Path("emoji").mkdir()
    assert refused(rules, "generate", {"model": "mine.safetensors"}).status == 403
    rules.checked_request("generate", {"model": "emoji"})  # a name goes before a path


def test_a_link_in_the_model_folders_to_elsewhere_is_refused_as_a_path(
    rules: PathRules, studio: Studio, tmp_path: Path
) -> None:
    folder = Path(studio.settings.general.model_folders[0])
    folder.mkdir(parents=True)
    (folder / "out").symlink_to(tmp_path)
    assert refused(rules, "generate", {"model": str(folder / "out" / "x.safetensors")}).status == 403


def test_wrong_values_come_with_the_place_of_each(rules: PathRules) -> None:
    error = refused(rules, "generate", {"steps": 0, "hires": {"scale": 99}, "zzz": 1})
    assert error.status == 422
    assert {place for place, _ in error.wrong} == {"/request/steps", "/request/hires/scale", "/request/zzz"}
