"""Each field of A1111's API, and what of our request it means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import BadInput
from sfumato.request import GenerationRequest
from sfumato.studio import Studio
from sfumato_api_a1111.errors import Refusal
from sfumato_api_a1111.generation_fields import Img2ImgFields, Txt2ImgFields
from sfumato_api_a1111.img2img_translating import translated_img2img
from sfumato_api_a1111.option_store import OptionStore
from sfumato_api_a1111.state import Api
from sfumato_api_a1111.translating import Means, translated
from tests.api_a1111.conftest import in_base64, picture, settings_in


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(settings_in(tmp_path))
    yield studio
    studio.database.close()


@pytest.fixture
def api(studio: Studio) -> Api:
    return Api(studio, OptionStore(studio))


def _request(api: Api, overrides: dict[str, Any] | None = None, **fields: Any) -> GenerationRequest:
    options = api.options.with_overrides(overrides)
    return translated(Txt2ImgFields.model_validate(fields), Means(api.studio, options))


def _img2img(api: Api, overrides: dict[str, Any] | None = None, **fields: Any) -> list[GenerationRequest]:
    options = api.options.with_overrides(overrides)
    values = {"init_images": [in_base64(picture())], **fields}
    return translated_img2img(Img2ImgFields.model_validate(values), Means(api.studio, options), api)


def test_an_empty_body_has_the_documented_defaults(api: Api) -> None:
    request = _request(api)
    assert (request.steps, request.cfg_scale, request.width, request.height) == (50, 7.0, 512, 512)
    assert (request.batch_size, request.count, request.seed, request.sampler) == (1, 1, -1, "euler")


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"prompt": "a cat"}, "prompt", "a cat"),
        ({"negative_prompt": "dogs"}, "negative_prompt", "dogs"),
        ({"seed": "12"}, "seed", 12),
        ({"seed": None}, "seed", -1),
        ({"seed": -5}, "seed", -1),
        ({"subseed": 3}, "variation_seed", 3),
        ({"subseed_strength": 0.25}, "variation_strength", 0.25),
        ({"seed_resize_from_w": 640}, "seed_resize_width", 640),
        ({"seed_resize_from_h": -1}, "seed_resize_height", 0),
        ({"batch_size": 3}, "batch_size", 3),
        ({"n_iter": 4}, "count", 4),
        ({"steps": "9"}, "steps", 9),
        ({"cfg_scale": None}, "cfg_scale", 7.0),
        ({"width": 70}, "width", 64),
        ({"height": "100"}, "height", 96),
        ({"firstphase_width": 128}, "width", 128),
        ({"tiling": True}, "tiling", True),
        ({"sampler_name": "Euler a"}, "sampler", "euler_ancestral"),
        ({"sampler_index": "Heun"}, "sampler", "heun"),
        ({"sampler_name": "Heun", "sampler_index": "Euler"}, "sampler", "heun"),
        ({"sampler_name": "Nobody's"}, "sampler", "dpmpp_2m"),
        ({"sampler_name": "DPM++ 2M Karras"}, "scheduler", "karras"),
        ({"scheduler": "Karras"}, "scheduler", "karras"),
        ({"scheduler": "Automatic"}, "scheduler", None),
        ({"scheduler": "nobody's"}, "scheduler", None),
        ({"s_min_uncond": 1.5}, "negative_minimum_sigma", 1.5),
        ({"styles": ["None", "missing"]}, "styles", ()),
        ({"sampler_name": "Euler", "eta": 1.0}, "sampler_options", {}),
        ({"sampler_name": "DDIM", "eta": 0.5}, "sampler_options", {"eta": 0.5}),
        ({"sampler_name": "Euler", "s_churn": 3}, "sampler_options", {"s_churn": 3.0}),
        ({"sampler_name": "DPM++ SDE"}, "step_noise", "brownian_tree"),
        (
            {"prompt": "x<lora:all_blue:1>", "disable_extra_networks": True},
            "prompt",
            "x",
        ),
        ({"restore_faces": True}, "face_restorer", None),
        ({"nobody": "knows"}, "prompt", ""),
    ],
)
def test_a_field_means(api: Api, fields: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(_request(api, **fields), name) == value


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"CLIP_stop_at_last_layers": 2.0}, "clip_skip", 2),
        ({"CLIP_stop_at_last_layers": 1}, "clip_skip", None),
        ({"eta_noise_seed_delta": 31337}, "noise_seed_delta", 31337),
        ({"randn_source": "CPU"}, "noise_source", "cpu"),
        ({"randn_source": "GPU"}, "noise_source", "nv"),
        ({"tiling": True}, "tiling", True),
        ({"emphasis": "No norm"}, "emphasis", "no_norm"),
        ({"sd_lora": "all_blue"}, "prompt", "<lora:all_blue:1>"),
        ({"sd_vae": "missing.safetensors"}, "parts", {}),
        ({"sd_model_checkpoint": "missing"}, "model", "emoji"),
        ({"sd_model_checkpoint": "emoji_flux.safetensors [0123456789]"}, "model", "emoji"),
        ({"s_min_uncond": 2}, "negative_minimum_sigma", 2.0),
    ],
)
def test_an_option_means(api: Api, options: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(_request(api, options), name) == value


def test_a_vae_is_taken_where_it_lies(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "vae"
    folder.mkdir(parents=True)
    (folder / "soft.safetensors").write_bytes(b"")
    assert _request(api, {"sd_vae": "soft.safetensors"}).parts == {"autoencoder": "soft.safetensors"}
    modules = {"forge_additional_modules": ["C:\\models\\VAE\\soft.safetensors"]}
    assert _request(api, modules).parts == {"autoencoder": "soft.safetensors"}


def test_the_distilled_guidance_counts_only_when_sent(api: Api) -> None:
    assert _request(api).model_options == {}
    options = _request(api, distilled_cfg_scale=2.5).model_options
    assert options in ({"guidance": 2.5}, {})


def test_a_second_pass_is_as_asked(api: Api) -> None:
    hires = _request(
        api,
        enable_hr=True,
        hr_scale=1.5,
        hr_upscaler="Latent (nearest-exact)",
        hr_second_pass_steps=10.0,
        hr_resize_x=96,
        denoising_strength=0.4,
        hr_prompt="sharper",
        hr_sampler_name="Use same sampler",
        hr_scheduler="Use same scheduler",
        hr_checkpoint_name=None,
        hr_additional_modules=["Use same choices"],
    ).hires
    assert hires is not None
    assert (hires.scale, hires.upscaler, hires.steps, hires.width) == (1.5, "latent_nearest_exact", 10, 96)
    assert (hires.denoising_strength, hires.prompt, hires.sampler, hires.model) == (
        0.4,
        "sharper",
        None,
        None,
    )
    assert hires.cfg_scale is None


def test_a_second_pass_may_change_everything(api: Api) -> None:
    hires = _request(
        api,
        enable_hr=True,
        hr_upscaler=None,
        hr_sampler_name="DPM++ 2M Karras",
        hr_checkpoint_name="emoji_flux",
        hr_cfg=3,
        hr_negative_prompt="blur",
    ).hires
    assert hires is not None
    assert (hires.upscaler, hires.sampler, hires.scheduler) == ("latent", "dpmpp_2m", "karras")
    assert (hires.model, hires.cfg_scale, hires.negative_prompt) == ("emoji", 3, "blur")


@pytest.mark.parametrize(
    "fields",
    [
        {"enable_hr": True, "hr_upscaler": "nobody's"},
        {"enable_hr": True, "hr_checkpoint_name": "nobody's"},
        {"refiner_checkpoint": "nobody's", "refiner_switch_at": 0.8},
    ],
)
def test_names_that_a1111_refuses_are_refused(api: Api, fields: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        _request(api, **fields)
    assert refused.value.status == 500


def test_a_refiner_is_named_by_its_title(api: Api) -> None:
    refiner = _request(api, refiner_checkpoint="emoji_flux.safetensors", refiner_switch_at=0.8).refiner
    assert refiner is not None
    assert (refiner.model, refiner.switch_at, refiner.by_steps) == ("emoji", 0.8, False)
    assert _request(api, refiner_checkpoint="None", refiner_switch_at=0.8).refiner is None


@pytest.mark.parametrize("fields", [{"steps": 0}, {"width": 8}, {"cfg_scale": 1000}, {"seed": 2**40}])
def test_values_that_cannot_be_are_told(api: Api, fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        _request(api, **fields)


def test_unknown_options_are_refused(api: Api) -> None:
    with pytest.raises(Refusal) as refused:
        _request(api, {"nobodys_option": 1})
    assert refused.value.status == 500


@pytest.mark.parametrize(("mode", "name"), [(0, "stretch"), (1, "crop"), (2, "fill"), (3, "latent")])
def test_a_resize_mode_means(api: Api, mode: int, name: str) -> None:
    (request,) = _img2img(api, resize_mode=mode, denoising_strength=0.6)
    assert request.img2img is not None
    assert (request.img2img.resize_mode, request.img2img.denoising_strength) == (name, 0.6)


def test_options_of_img2img_mean(api: Api) -> None:
    (request,) = _img2img(
        api,
        {
            "img2img_fix_steps": True,
            "img2img_color_correction": True,
            "initial_noise_multiplier": 0.9,
            "img2img_background_color": "#102030",
        },
    )
    start = request.img2img
    assert start is not None
    assert (start.all_steps, start.color_correction) == (True, True)
    assert (start.noise_multiplier, start.background) == (0.9, "#102030")


@pytest.mark.parametrize(
    ("fill", "name"), [(0, "fill"), (1, "original"), (2, "latent_noise"), (3, "latent_nothing")]
)
def test_a_mask_means(api: Api, fill: int, name: str) -> None:
    (request,) = _img2img(
        api,
        mask=in_base64(picture(colour="#ffffff")),
        mask_blur=6,
        inpainting_fill=fill,
        inpaint_full_res=False,
        inpaint_full_res_padding=12,
        inpainting_mask_invert=0,
    )
    mask = request.inpaint
    assert mask is not None
    assert (mask.content, mask.blur, mask.area, mask.padding) == (name, 6, "whole_picture", 12)


def test_only_the_masked_part_is_drawn_by_default(api: Api) -> None:
    (request,) = _img2img(api, mask=in_base64(picture(colour="#ffffff")))
    assert request.inpaint is not None
    assert (request.inpaint.area, request.inpaint.blur, request.inpaint.content) == ("only_masked", 4, "fill")


def test_a_black_mask_of_only_the_masked_part_masks_nothing(api: Api) -> None:
    black = in_base64(picture(colour="#000000"))
    (plain,) = _img2img(api, mask=black)
    assert plain.inpaint is None
    (inverted,) = _img2img(api, mask=black, inpainting_mask_invert=1)
    assert inverted.inpaint is not None
    assert inverted.inpaint.invert


def test_a_transparent_mask_counts_by_its_opacity(api: Api) -> None:
    from PIL import Image

    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    mask.paste((0, 0, 0, 200), (0, 0, 32, 64))
    (request,) = _img2img(api, mask=in_base64(mask))
    assert request.inpaint is not None
    kept = Image.open(request.inpaint.mask).convert("L")
    assert (kept.getpixel((5, 5)), kept.getpixel((60, 5))) == (255, 0)


def test_blurs_that_differ_are_done_here(api: Api) -> None:
    from PIL import Image

    mask = Image.new("RGB", (64, 64))
    mask.paste((255, 255, 255), (0, 0, 32, 64))
    (request,) = _img2img(api, mask=in_base64(mask), mask_blur_x=6, mask_blur_y=0)
    assert request.inpaint is not None
    assert request.inpaint.blur == 0
    kept = Image.open(request.inpaint.mask).convert("L")
    assert 0 < kept.getpixel((34, 30)) < 255


def test_several_pictures_are_one_request_each(api: Api) -> None:
    images = [in_base64(picture(colour=colour)) for colour in ("#000000", "#ffffff")]
    requests = _img2img(api, init_images=images, batch_size=3, n_iter=2, seed=5)
    assert [request.seed for request in requests] == [5, 6, 7, 8]
    paths = [request.img2img.image for request in requests if request.img2img]
    assert paths[0] == paths[2] != paths[1]
    assert all(request.image_total == 1 for request in requests)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"init_images": None}, 404),
        ({"init_images": []}, 500),
        ({"init_images": [in_base64(picture())] * 2}, 500),
        ({"init_images": ["AAAA"]}, 500),
        ({"init_images": ["http://127.0.0.1/x.png"]}, 500),
        ({"resize_mode": 9}, 422),
        ({"mask": "nothing"}, 500),
    ],
)
def test_pictures_that_cannot_be_are_refused(api: Api, fields: dict[str, Any], status: int) -> None:
    with pytest.raises(Refusal) as refused:
        _img2img(api, **fields)
    assert refused.value.status == status


@pytest.mark.parametrize("start", ["", "data:image/png;base64,", "data:;base64,", "DATA:image/x;base64,"])
def test_pictures_come_with_and_without_a_data_address(api: Api, start: str) -> None:
    (request,) = _img2img(api, init_images=[start + in_base64(picture())])
    assert request.img2img is not None
    assert request.img2img.image.is_file()
