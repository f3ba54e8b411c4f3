"""What comes back of txt2img and img2img: pictures, order, seeds, texts, and what stays on the server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api_a1111.conftest import TINY, Served, decoded, in_base64, picture

INFO_KEYS = {
    "prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed",
    "all_subseeds", "subseed_strength", "width", "height", "sampler_name", "cfg_scale", "steps", "batch_size",
    "restore_faces", "face_restoration_model", "sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash",
    "seed_resize_from_w", "seed_resize_from_h", "denoising_strength", "extra_generation_params",
    "index_of_first_image", "infotexts", "styles", "job_timestamp", "clip_skip",
    "is_using_inpainting_conditioning", "version",
}  # fmt: skip


def _drawn(served: Served, path: str = "txt2img", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    answer = served.post(f"/sdapi/v1/{path}", {"prompt": "a red apple", **TINY, **fields})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body, json.loads(body["info"])


def test_the_answer_has_all_that_clients_read(served: Served) -> None:
    body, info = _drawn(served)
    assert set(body) == {"images", "parameters", "info"}
    assert set(info) == INFO_KEYS
    for key in ("restore_faces", "sd_model_hash", "styles", "version", "clip_skip", "sd_model_name"):
        assert info[key] is not None
    assert info["infotexts"][0].splitlines()[0] == "a red apple"
    assert info["sampler_name"] == "Euler"
    assert len(info["job_timestamp"]) == 14


def test_parameters_are_those_that_were_asked_for(served: Served) -> None:
    body, _ = _drawn(served, seed=-1, sampler_name="Heun")
    parameters = body["parameters"]
    assert (parameters["seed"], parameters["sampler_index"], parameters["sampler_name"]) == (
        -1,
        "Euler",
        "Heun",
    )
    assert parameters["denoising_strength"] is None


def test_start_pictures_come_back_only_when_asked_for(served: Served) -> None:
    start = in_base64(picture())
    body, _ = _drawn(served, "img2img", init_images=[start])
    assert body["parameters"]["init_images"] is None
    body, _ = _drawn(served, "img2img", init_images=[start], include_init_images=True)
    assert body["parameters"]["init_images"] == [start]


def test_an_open_seed_is_drawn_and_told(served: Served) -> None:
    body, info = _drawn(served, seed=-1)
    assert 0 <= info["seed"] < 2**32
    assert f"Seed: {info['seed']}," in decoded(body["images"][0]).text["parameters"]  # type: ignore[attr-defined]


def test_variations_share_the_seed(served: Served) -> None:
    _, info = _drawn(served, n_iter=2, subseed=11, subseed_strength=0.3)
    assert (info["all_seeds"], info["all_subseeds"]) == ([7, 7], [11, 12])


def test_nothing_stays_on_the_server_unless_asked_for(served: Served) -> None:
    before = sorted(served.output.rglob("*.png"))
    _drawn(served)
    assert sorted(served.output.rglob("*.png")) == before
    _drawn(served, save_images=True)
    assert len(sorted(served.output.rglob("*.png"))) == len(before) + 1
    left = served.studio.settings.general.data_folder / "api-pictures"
    assert list(left.iterdir()) == []


def test_a_grid_comes_first_where_pictures_are_saved(served: Served) -> None:
    body, info = _drawn(served, batch_size=2, save_images=True)
    assert len(body["images"]) == len(info["infotexts"]) == 3
    assert info["index_of_first_image"] == 1
    assert decoded(body["images"][0]).size == (128, 64)
    body, info = _drawn(served, batch_size=2)
    assert (len(body["images"]), info["index_of_first_image"]) == (2, 0)


def test_pictures_need_not_be_sent(served: Served) -> None:
    body, info = _drawn(served, send_images=False)
    assert body["images"] == []
    assert len(info["infotexts"]) == 1


@pytest.mark.parametrize(("name", "kind"), [("jpg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_pictures_come_in_the_format_that_is_asked_for(served: Served, name: str, kind: str) -> None:
    body, _ = _drawn(served, override_settings={"samples_format": name})
    assert decoded(body["images"][0]).format == kind
    told = served.post("/sdapi/v1/png-info", {"image": body["images"][0]}).json()
    assert told["info"].startswith("a red apple\n")


def test_texts_are_left_out_when_asked_for(served: Served) -> None:
    body, info = _drawn(served, override_settings={"enable_pnginfo": False})
    assert decoded(body["images"][0]).info == {}
    assert info["infotexts"][0]
    _, info = _drawn(served, override_settings={"add_model_hash_to_info": False})
    assert "Model hash" not in info["infotexts"][0]


def test_overrides_hold_for_one_request(served: Served) -> None:
    _drawn(served, override_settings={"CLIP_stop_at_last_layers": 2})
    assert served.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"] == 1


def test_overrides_may_stay(served: Served) -> None:
    _drawn(served, override_settings={"return_grid": False}, override_settings_restore_afterwards=False)
    assert served.get("/sdapi/v1/options").json()["return_grid"] is False
    served.post("/sdapi/v1/options", {"return_grid": True})


def test_an_infotext_fills_what_is_left_out(served: Served) -> None:
    text = "a blue hat\nSteps: 3, Sampler: Heun, CFG scale: 1.0, Seed: 99, Size: 64x96"
    answer = served.post("/sdapi/v1/txt2img", {"infotext": text, "steps": 2})
    info = json.loads(answer.json()["info"])
    assert (info["prompt"], info["seed"], info["height"], info["steps"]) == ("a blue hat", 99, 96, 2)
    assert info["sampler_name"] == "Heun"


def test_several_start_pictures_make_one_picture_each(served: Served) -> None:
    pictures = [in_base64(picture(colour=colour)) for colour in ("#000000", "#ffffff")]
    body, info = _drawn(
        served, "img2img", init_images=pictures, batch_size=2, denoising_strength=0.3, save_images=False
    )
    dark, light = (decoded(image).convert("L").resize((1, 1)).getpixel((0, 0)) for image in body["images"])
    assert dark < light
    assert info["all_seeds"] == [7, 8]


def test_scripts_that_are_always_on_change_the_request(served: Served) -> None:
    _, info = _drawn(
        served,
        alwayson_scripts={"Sampler": {"args": [3, "Heun", "Karras"]}, "Seed": {"args": [123]}},
    )
    assert (info["steps"], info["sampler_name"], info["seed"]) == (3, "Heun", 123)


def test_prompts_of_a_list_are_drawn_one_by_one(served: Served) -> None:
    body, info = _drawn(
        served,
        prompt="",
        script_name="Prompts from file or textbox",
        script_args=[True, False, "start", "a red apple\na blue hat"],
    )
    assert len(body["images"]) == 2
    assert info["all_prompts"] == ["a red apple", "a blue hat"]
    assert info["all_seeds"] == [7, 8]


def test_methods_of_the_second_pass_go_by_their_labels(served: Served) -> None:
    """Clients give an infotext's names back as they are."""
    second = {"enable_hr": True, "hr_scale": 1.5, "hr_sampler_name": "Euler a", "hr_scheduler": "sgm_uniform"}
    body = {**TINY, "prompt": "x", "denoising_strength": 0.5, **second}
    told = json.loads(served.post("/sdapi/v1/txt2img", body).json()["info"])["infotexts"][0]
    assert "Hires sampler: Euler a" in told
    assert "Hires schedule type: SGM Uniform" in told
