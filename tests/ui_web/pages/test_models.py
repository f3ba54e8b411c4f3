"""The page Models: cards of what lies in the model folders, and their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from flask.testing import FlaskClient
from PIL import Image
from safetensors.torch import save_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model folder, with a LoRA that has a picture, and damaged files."""
    models = tmp_path / "models"
    for name in ("loras", "checkpoints", "vae"):
        (models / name).mkdir(parents=True)
    stem = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{stem}.lora_down.weight": torch.zeros(4, 768), f"{stem}.lora_up.weight": torch.zeros(320, 4)}
    save_file(tensors, models / "loras" / "wash.safetensors", {"modelspec.trigger_phrase": "soft wash"})
    Image.new("RGB", (8, 8), "red").save(models / "loras" / "wash.preview.png")
    (models / "checkpoints" / "half.safetensors").write_bytes(b"nonsense")
    save_file({"decoder.conv_in.weight": torch.zeros(4, 4)}, models / "vae" / "sharp.safetensors")
    return models


def cards(client: FlaskClient, tab: str, **query: str) -> dict[str, Any]:
    answer = client.get(f"/models/cards/{tab}", query_string=query)
    assert answer.status_code == 200
    return {card["name"]: card for card in answer.json["items"]}


@pytest.mark.usefixtures("folder")
def test_checkpoints_are_listed_and_damaged_ones_say_why(client: FlaskClient) -> None:
    found = cards(client, "checkpoints")
    assert found["emoji"]["use"] == {"model": "emoji"}
    assert found["emoji"]["precision"] == "F16"
    assert found["emoji"]["missing"] == []
    assert "damaged" in found["half.safetensors"]["problem"]
    assert found["half.safetensors"]["use"] == {}


@pytest.mark.usefixtures("folder")
def test_a_lora_is_matched_with_the_chosen_model_and_says_how_it_is_used(client: FlaskClient) -> None:
    found = cards(client, "loras", model="emoji")
    assert found["wash"]["use"] == {"prompt": "<lora:wash:1>"}
    assert found["wash"]["words"] == ["soft wash"]
    assert found["wash"]["matches"] is False
    assert "SD 1.x" in found["wash"]["warning"]
    assert found["all_blue"]["matches"] is True
    assert cards(client, "loras")["wash"]["matches"] is None


def test_the_picture_beside_a_file_is_served_by_the_files_name_alone(
    client: FlaskClient, folder: Path
) -> None:
    with client.get("/models/preview/loras/wash") as answer:
        assert (answer.status_code, answer.mimetype) == (200, "image/png")
        assert answer.data == (folder / "loras" / "wash.preview.png").read_bytes()
    assert client.get("/models/preview/loras/all_blue").status_code == 404
    (folder.parent / "secret.png").write_bytes(b"not for browsers")
    for name in ("../../secret", "..%2f..%2fsecret", str(folder.parent / "secret"), "wash/../../../secret"):
        assert client.get(f"/models/preview/loras/{name}").status_code in (404, 308)


@pytest.mark.usefixtures("folder")
def test_autoencoders_and_upscalers_have_tabs(client: FlaskClient) -> None:
    assert "sharp" in cards(client, "vae")
    assert "lanczos" in cards(client, "upscalers")
    assert client.get("/models/cards/anything").status_code == 404


@pytest.mark.usefixtures("folder")
def test_folders_are_told_where_there_is_nothing(client: FlaskClient, folder: Path) -> None:
    answer = client.get("/models/cards/embeddings").json
    assert answer["items"] == []
    assert str(folder / "embeddings") in answer["folders"]


@pytest.mark.usefixtures("folder")
def test_a_model_that_is_put_there_later_is_found_by_looking_again(client: FlaskClient, folder: Path) -> None:
    assert "new.safetensors" not in cards(client, "checkpoints")
    (folder / "checkpoints" / "new.safetensors").write_bytes(b"nonsense")
    assert "new.safetensors" in cards(client, "checkpoints", rescan="1")


def test_a_model_that_is_none_is_told(client: FlaskClient) -> None:
    assert client.get("/models/cards/loras?model=nothing_like_it").status_code in (400, 404, 422)
