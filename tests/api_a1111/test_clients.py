"""The requests of clients in the wild, in their order, and what each of them needs of the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.api_a1111.conftest import TINY, Served, decoded, in_base64, picture

SIZE = {"width": 64, "height": 64}


def test_open_webui_pings_chooses_a_model_and_draws(served: Served) -> None:
    empty = {"authorization": ""}
    assert served.get("/sdapi/v1/options", headers=empty).status_code == 200
    models = served.get("/sdapi/v1/sd-models", headers=empty).json()
    choices = [{"id": model["title"], "name": model["model_name"]} for model in models]
    options = served.get("/sdapi/v1/options", headers=empty).json()
    options["sd_model_checkpoint"] = choices[0]["id"]
    assert served.post("/sdapi/v1/options", options, headers=empty).status_code == 200
    body = {"prompt": "a red apple", "batch_size": 2, **SIZE, "steps": 2, "negative_prompt": "blur"}
    answer = served.post("/sdapi/v1/txt2img", body, headers=empty).json()
    assert len(answer["images"]) == 2
    assert json.loads(answer["info"])["sd_model_name"] == "emoji"


def test_sillytavern_lists_draws_and_waits(served: Served) -> None:
    login = {"Authorization": "Basic Og=="}

    def get(path: str) -> Any:
        return served.get(f"/sdapi/v1/{path}", headers=login).json()

    assert get("options")["sd_model_checkpoint"] == get("sd-models")[0]["title"]
    assert "Euler a" in [sampler["name"] for sampler in get("samplers")]
    assert "automatic" in [scheduler["name"] for scheduler in get("schedulers")]
    assert get("upscalers")[0]["name"] == "None"
    assert get("latent-upscale-modes")[0]["name"] == "Latent"
    assert get("sd-vae") == []
    title = get("sd-models")[0]["title"]
    served.post("/sdapi/v1/options", {"sd_model_checkpoint": title}, headers=login)
    told = get("progress")
    assert told["progress"] == 0
    assert told["state"]["job_count"] == 0
    body = {
        "url": "http://localhost:7860",
        "auth": "",
        "clip_skip": 1,
        "prompt": "a red apple",
        "negative_prompt": "",
        "sampler_name": "Euler a",
        "scheduler": "Automatic",
        "steps": 2,
        "cfg_scale": 1,
        **SIZE,
        "restore_faces": False,
        "enable_hr": False,
        "hr_upscaler": "Latent",
        "hr_scale": 1,
        "hr_additional_modules": [],
        "denoising_strength": 0.7,
        "hr_second_pass_steps": 0,
        "override_settings": {
            "CLIP_stop_at_last_layers": 1,
            "sd_vae": "Automatic",
            "forge_additional_modules": [],
        },
        "override_settings_restore_afterwards": True,
        "save_images": True,
        "send_images": True,
        "do_not_save_grid": False,
        "do_not_save_samples": False,
    }
    answer = served.post("/sdapi/v1/txt2img", body, headers=login)
    assert decoded(answer.json()["images"][0]).size == (64, 64)
    interrupted = requests.post(f"{served.url}/sdapi/v1/interrupt", headers=login, timeout=30)
    assert interrupted.json() == {}


def test_aiyabot_starts_by_flags_and_page_routes(served: Served) -> None:
    assert requests.head(f"{served.url}/", timeout=30, allow_redirects=True).status_code == 200
    assert served.get("/sdapi/v1/cmd-flags").status_code == 200
    assert served.get("/config").json()
    body = {
        **TINY,
        "prompt": "a red apple",
        "sampler_index": "Euler",
        "styles": ["None"],
        "denoising_strength": None,
        "hr_second_pass_steps": 2.0,
    }
    answer = served.post("/sdapi/v1/txt2img", body).json()
    lines = served.post("/sdapi/v1/png-info", {"image": answer["images"][0]}).json()["info"].splitlines()
    assert lines[0] == "a red apple"
    assert lines[-1].startswith("Steps: 2,")
    assert all(
        {"filename", "title", "hash"} <= set(model) for model in served.get("/sdapi/v1/sd-models").json()
    )


def test_auto_photoshop_reads_the_seed_and_interrupts_without_a_body(served: Served) -> None:
    served.get("/user").json()
    headers = {"Content-Type": "application/json"}
    interrupted = requests.post(f"{served.url}/sdapi/v1/interrupt", data=b"", headers=headers, timeout=30)
    assert interrupted.json() == {}
    body = {
        **TINY,
        "prompt": "a red apple",
        "init_images": [in_base64(picture())],
        "mask": in_base64(picture(colour="#ffffff")),
        "use_prompt_shortcut": True,
        "uniqueDocumentId": "x",
    }
    answer = served.post("/sdapi/v1/img2img", body).json()
    told = served.post("/sdapi/v1/png-info", {"image": answer["images"][0]}).json()["info"]
    fields = dict(part.split(":", 1) for part in told.rpartition("\n")[2].split(",") if ":" in part)
    assert fields[" Seed"].strip() == "7"


def test_sd_backend_client_finds_what_it_checks(served: Served) -> None:
    assert served.get("/system_stats").status_code == 404
    assert served.get("/sdapi/v1/txt2img").status_code == 405
    assert served.get("/sdapi/v1/controlnet").status_code == 404
    for sampler in served.get("/sdapi/v1/samplers").json():
        assert isinstance(sampler["aliases"], list)
        assert isinstance(sampler["options"], dict)
    for upscaler in served.get("/sdapi/v1/upscalers").json():
        assert isinstance(upscaler["scale"], (int, float))
    for script in served.get("/sdapi/v1/script-info").json():
        assert script["name"] == script["name"].lower()
        assert all(argument["label"] for argument in script["args"])
    body = {**TINY, "prompt": "x", "sampler_name": "DPM++ 2M", "scheduler": "karras"}
    info = json.loads(served.post("/sdapi/v1/txt2img", body).json()["info"])
    assert "Schedule type: Karras" in info["infotexts"][0]


@pytest.mark.parametrize("scheduler", ["Automatic", "automatic", None])
def test_other_clients_fields_do_no_harm(served: Served, scheduler: str | None) -> None:
    body = {
        **TINY,
        "prompt": "x",
        "n_iter": 2,
        "scheduler": scheduler,
        "distilled_cfg_scale": 3.5,
        "seed_resize_from_w": 0,
        "eta": 1.0,
        "override_settings": {"sd_model_checkpoint": "emoji_flux", "sd_vae": "Automatic"},
    }
    assert len(served.post("/sdapi/v1/txt2img", body).json()["images"]) == 2
