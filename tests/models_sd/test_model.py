"""What a loaded model does beside drawing: names of layers, conditioning, noise levels, masks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sfumato.errors import BadInput
from sfumato.models import LayerTarget, PromptText
from sfumato.noise_schedule import NoiseSchedule
from sfumato_models_sd.conditioning import numbers
from sfumato_models_sd.model import SdModel
from sfumato_models_sd.options import SdOptions
from sfumato_models_sd.schedule import alphas_cumprod, timestep, trained_schedule, zero_terminal_snr
from sfumato_models_sd.variants import Variant

from ..tiny_models import sd
from .drawing import Wish, encoded, pipeline, single_file

WISH = Wish()


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> SdModel:
    return single_file(sd.SDXL, tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> SdModel:
    return single_file(sd.SD15, tmp_path_factory.mktemp("sd15"))


def prompt(text: str, **fields: object) -> PromptText:
    return PromptText((((text, 1.0),),), **fields)  # type: ignore[arg-type]


def test_layers_go_by_diffusers_names_and_hold_the_same_weights(sdxl: SdModel, tmp_path: Path) -> None:
    pipe = pipeline(sd.SDXL, tmp_path)
    theirs = {"unet": pipe.unet, "clip_text": pipe.text_encoder, "clip_g_text": pipe.text_encoder_2}
    for part, network in theirs.items():
        names = sdxl.layer_names(part)
        for path, module in network.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                target = names[path]
                weight = sdxl.networks[part].get_submodule(target.layer).weight
                start, end = target.rows or (0, len(weight))
                assert torch.equal(weight[start:end], module.weight), path


def test_layers_go_by_their_own_names(sdxl: SdModel) -> None:
    names = sdxl.layer_names("unet")
    own = "input_blocks.3.1.transformer_blocks.0.attn2.to_k"
    assert (
        names[own] == names["down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"] == LayerTarget(own)
    )
    assert sdxl.layer_names("t5_encoder") == {}


def test_clip_skip_takes_a_lower_layer_but_never_one_above_those_trained_on(
    sdxl: SdModel, sd15: SdModel
) -> None:
    by_skip = [sdxl.condition(prompt("red", clip_skip=skip), {}).context for skip in (1, 2, 3)]
    assert by_skip[0].equal(by_skip[1])
    assert not by_skip[1].equal(by_skip[2])
    last, before = (sd15.condition(prompt("red", clip_skip=skip), {}).context for skip in (1, 2))
    assert not last.equal(before)


def test_sd2_skips_layers_alike_in_files_with_and_without_the_last_one(tmp_path: Path) -> None:
    from .drawing import loaded

    file = single_file(sd.SD21, tmp_path)
    folder = loaded(sd.write_folder(sd.SD21, tmp_path / "models" / "folder"))
    for skip in (1, 2, 3):
        states = [model.condition(prompt("red", clip_skip=skip), {}).context for model in (file, folder)]
        torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)


def test_only_an_empty_negative_prompt_is_zeroed(sdxl: SdModel) -> None:
    zeroed = encoded(sdxl, "", is_negative=True)
    assert not zeroed.context.any()
    assert not zeroed.pooled.any()
    for other in (
        encoded(sdxl, ""),
        encoded(sdxl, "dull", is_negative=True),
        encoded(sdxl, "", is_negative=True, zero_empty_negative=False),
    ):
        assert other.context.any()
        assert other.pooled.any()


def test_sd1_encodes_an_empty_negative_prompt(sd15: SdModel) -> None:
    assert encoded(sd15, "", is_negative=True).context.any()


def test_both_encoders_see_all_of_a_long_prompt(sdxl: SdModel) -> None:
    context = encoded(sdxl, "blue " * 100).context
    assert context.shape == (1, 154, sdxl.unet.config.context_size)
    assert not context[:, 77:].eq(0).all()


@pytest.mark.parametrize(
    ("name", "is_negative", "expected"),
    [
        ("sdxl", False, (64.0, 96.0, 0.0, 5.0, 64.0, 200.0)),
        ("sdxl_refiner", False, (64.0, 96.0, 0.0, 5.0, 7.5)),
        ("sdxl_refiner", True, (64.0, 96.0, 0.0, 5.0, 2.5)),
    ],
)
def test_sdxl_is_told_numbers_heights_first(
    name: str, is_negative: bool, expected: tuple[float, ...]
) -> None:
    options = SdOptions(crop_left=5, target_width=200, aesthetic_score=7.5)
    assert numbers(Variant(name, {}), 96, 64, options, is_negative=is_negative) == expected


def test_the_noise_levels_are_those_of_the_field(sdxl: SdModel) -> None:
    table = sdxl.noise_schedule(64, 64, {})
    assert (table.sigma_min, table.sigma_max) == pytest.approx((0.0291675, 14.614642), rel=1e-4)
    zero = sdxl.noise_schedule(64, 64, {"zero_snr": True})
    assert zero.sigma_max == pytest.approx(4518.76, rel=1e-4)
    assert zero.sigma_min == pytest.approx(table.sigma_min)


def test_zero_terminal_snr_is_that_of_diffusers() -> None:
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    alphas = torch.tensor(alphas_cumprod(), dtype=torch.float64)
    betas = 1 - alphas / torch.cat((torch.ones(1, dtype=torch.float64), alphas[:-1]))
    theirs = (1 - rescale_zero_terminal_snr(betas)).cumprod(0)
    ours = torch.tensor(zero_terminal_snr(alphas.tolist()), dtype=torch.float64)
    torch.testing.assert_close(ours[:-1], theirs[:-1], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("zero_snr", [False, True])
def test_levels_outside_of_the_table_have_the_times_of_its_ends(zero_snr: bool) -> None:
    table: NoiseSchedule = trained_schedule(zero_snr)
    assert timestep(table, 1e6) == 999
    assert timestep(table, 1e-6) == timestep(table, 0.0) == 0
    for step in (0, 1, 499, 998, 999):
        assert timestep(table, table.sigmas[step]) == pytest.approx(step, abs=1e-6)


def test_the_prediction_can_be_overruled(sd15: SdModel) -> None:
    x, condition = WISH.noise() * 3, encoded(sd15, "red")
    eps, v = (sd15.denoise(x, 2.0, [condition], {"prediction": kind}) for kind in ("eps", "v"))
    assert sd15.denoise(x, 2.0, [condition], {}).equal(eps)
    output = (x - eps) / 2.0
    torch.testing.assert_close(v, x / 5 - output * 2 / 5**0.5, rtol=1e-4, atol=1e-5)


def test_a_mask_is_hard_and_comes_before_the_picture(tmp_path: Path) -> None:
    model = single_file(sd.SD15_INPAINT, tmp_path)
    pixels, mask = WISH.picture()
    seen = model.see(pixels, mask * 0.6)
    assert seen.shape == (1, 5, WISH.height // 8, WISH.width // 8)
    assert seen[:, 0].unique().tolist() == [0.0, 1.0]
    assert seen[:, 0, :, : WISH.width // 16].sum() == 0
    torch.testing.assert_close(seen[:, 1:], model.encode(pixels))
    assert not model.see(pixels, mask * 0.4)[:, 0].any()


def test_without_a_picture_an_inpainting_model_paints_all_of_it(tmp_path: Path) -> None:
    model = single_file(sd.SD15_INPAINT, tmp_path)
    x, condition = WISH.noise() * 3, encoded(model, "red")
    everything = torch.ones(1, 1, WISH.height, WISH.width)
    grey = model.see(torch.full((1, 3, WISH.height, WISH.width), 0.5), everything)
    found = model.denoise(x, 2.0, [condition], {})
    assert found.equal(model.denoise(x, 2.0, [condition], {}, picture=grey))


def test_a_model_that_sees_no_picture_says_so(sd15: SdModel) -> None:
    with pytest.raises(BadInput, match="sees no picture"):
        sd15.see(*WISH.picture())


def test_latents_of_one_kind_have_one_name(sd15: SdModel, sdxl: SdModel) -> None:
    assert (sd15.latent_format.name, sdxl.latent_format.name) == ("sd", "sdxl")
    assert (sd15.scale, sdxl.scale) == (0.18215, 0.13025)
    assert len(sdxl.latent_format.rgb_factors) == sdxl.latent_format.channels == 4
