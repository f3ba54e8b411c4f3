"""The client library webuiapi, as its users have it, over everything that it can ask."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageDraw

from tests.api_a1111.conftest import TINY, Served, picture

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    webuiapi = pytest.importorskip("webuiapi")


@pytest.fixture
def api(served: Served) -> Iterator[Any]:
    parts = urlsplit(served.url)
    client = webuiapi.WebUIApi(host=parts.hostname, port=parts.port, sampler="Euler", steps=2)
    yield client
    client.session.close()


def test_a_picture_of_a_prompt_comes_back_with_its_seed(api: Any) -> None:
    result = api.txt2img(prompt="a red apple", **TINY)
    assert result.image.size == (64, 64)
    assert result.info["seed"] == 7
    assert "Seed: 7" in result.image.text["parameters"]


def test_pictures_of_a_batch_are_those_of_their_own_seeds(api: Any) -> None:
    both = api.txt2img(prompt="a red apple", batch_size=2, **TINY)
    second = api.txt2img(prompt="a red apple", **{**TINY, "seed": 8})
    assert both.info["all_seeds"] == [7, 8]
    difference = max(
        abs(a - b) for a, b in zip(both.images[1].tobytes(), second.image.tobytes(), strict=True)
    )
    assert difference <= 2


def test_a_second_pass_enlarges(api: Any) -> None:
    result = api.txt2img(
        prompt="a red apple",
        enable_hr=True,
        hr_scale=2,
        hr_second_pass_steps=2,
        denoising_strength=0.5,
        hr_upscaler=webuiapi.HiResUpscaler.Latent,
        **TINY,
    )
    assert result.image.size == (128, 128)
    assert result.info["width"] == 64


def test_a_picture_of_a_picture(api: Any) -> None:
    result = api.img2img(images=[picture()], prompt="a red apple", denoising_strength=0.5, **TINY)
    assert result.image.size == (64, 64)
    assert result.info["denoising_strength"] == 0.5


def test_outside_of_a_mask_nothing_changes(api: Any) -> None:
    start, mask = picture(96, 80), Image.new("RGB", (96, 80))
    ImageDraw.Draw(mask).rectangle((32, 32, 63, 63), fill="white")
    result = api.img2img(images=[start], mask_image=mask, mask_blur=0, inpainting_fill=1, prompt="x", **TINY)
    assert result.image.size == (96, 80)
    kept = result.image.convert("RGB")
    assert kept.getpixel((2, 2)) == start.getpixel((2, 2))
    assert kept.getpixel((90, 70)) == start.getpixel((90, 70))


def test_pictures_are_enlarged_alone_and_together(api: Any) -> None:
    single = api.extra_single_image(picture(96, 80), upscaler_1="Lanczos", upscaling_resize=1.3)
    assert single.image.size == (120, 104)
    batch = api.extra_batch_images([picture(), picture(32, 32)], upscaler_1="Lanczos", upscaling_resize=2)
    assert [image.size for image in batch.images] == [(128, 128), (64, 64)]


def test_what_a_picture_tells_is_read(api: Any) -> None:
    made = api.txt2img(prompt="a red apple", **TINY)
    told = api.png_info(made.image)
    assert told.info.startswith("a red apple\n")
    assert told.parameters["Seed"] == "7"


def test_lists_have_what_clients_read(api: Any) -> None:
    assert "Euler" in [sampler["name"] for sampler in api.get_samplers()]
    assert api.get_schedulers()[0]["name"] == "automatic"
    assert [upscaler["name"] for upscaler in api.get_upscalers()][:3] == ["None", "Lanczos", "Nearest"]
    assert {"name": "Latent (nearest-exact)"} in api.get_latent_upscale_modes()
    assert api.get_sd_models()[0]["title"].startswith("emoji_flux.safetensors")
    assert api.get_loras()[0]["alias"]
    assert set(api.get_embeddings()) == {"loaded", "skipped"}
    assert api.get_scripts()["txt2img"][0] == "x/y/z plot"
    assert api.get_memory()["ram"]["total"] > 0
    assert api.get_cmd_flags()["api"] is True
    for rest in ("sd_vae", "hypernetworks", "face_restorers", "realesrgan_models", "prompt_styles"):
        assert getattr(api, f"get_{rest}")() == []


def test_options_are_set_and_kept(api: Any) -> None:
    api.set_options({"CLIP_stop_at_last_layers": 2})
    assert api.get_options()["CLIP_stop_at_last_layers"] == 2
    api.set_options(api.get_options() | {"CLIP_stop_at_last_layers": 1})
    assert api.get_options()["CLIP_stop_at_last_layers"] == 1


def test_the_model_is_named_and_chosen(api: Any) -> None:
    names = api.util_get_model_names()
    api.util_set_model(names[0])
    assert api.util_get_current_model() == names[0]


def test_controls_answer_while_nothing_runs(api: Any) -> None:
    assert api.interrupt() == {}
    assert api.skip() is None
    assert api.refresh_checkpoints() is None
    progress = api.get_progress()
    assert progress["progress"] == 0
    assert progress["state"]["job_count"] == 0


def test_a_script_makes_a_grid(api: Any) -> None:
    arguments = [4, "1,2", [], 0, "", [], 0, "", [], True, False, False, False, False, False, False, 0]
    sheet = api.txt2img(prompt="a red apple", script_name="X/Y/Z Plot", script_args=arguments, **TINY)
    assert len(sheet.images) == 1
    assert sheet.image.width >= 128
    arguments[10] = True
    whole = api.txt2img(prompt="a red apple", script_name="X/Y/Z Plot", script_args=arguments, **TINY)
    assert [image.size for image in whole.images[1:]] == [(64, 64), (64, 64)]
    steps = [image.text["parameters"].partition("Steps: ")[2][0] for image in whole.images[1:]]
    assert steps == ["1", "2"]


def test_interrogating_is_refused_in_words(api: Any) -> None:
    with pytest.raises(RuntimeError, match="501"):
        api.interrogate(picture())
