"""What a checkpoint is, told from its header."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, ModelInfo
from sfumato_models_sd.config import UNetConfig, expected_shapes
from sfumato_models_sd.detection import detect
from sfumato_models_sd.diffusers_keys import diffusers_names
from sfumato_networks.checkpoint_folder import read_diffusers_folder
from sfumato_networks.safetensors_header import read_header

from ..tiny_models import sd
from ..tiny_models.headers import Shapes, header_of

BEFORE = "model.diffusion_model."
FULL_CLIP = sd.TinyText(width=768, layers=12)
FULL_H = sd.TinyText(width=1024, layers=24)
FULL_G = sd.TinyText(width=1280, layers=32, projection=1280)
FULL = {
    "sd1": replace(
        sd.SD15, clip=FULL_CLIP, channels=(320, 640, 1280, 1280), depths=(1, 1, 1, 0), residual_blocks=2
    ),
    "sd2": replace(
        sd.SD21, open_clip=FULL_H, channels=(320, 640, 1280, 1280), depths=(1, 1, 1, 0), residual_blocks=2
    ),
    "sdxl": replace(
        sd.SDXL,
        clip=FULL_CLIP,
        open_clip=FULL_G,
        channels=(320, 640, 1280),
        depths=(0, 2, 10),
        residual_blocks=2,
    ),
    "sdxl_refiner": replace(
        sd.REFINER,
        open_clip=FULL_G,
        channels=(384, 768, 1536, 1536),
        depths=(0, 4, 4, 0),
        residual_blocks=2,
    ),
}


def unet_shapes(tiny: sd.TinySD) -> dict[str, tuple[int, ...]]:
    return {BEFORE + name: shape for name, shape in expected_shapes(tiny.unet_config).items()}


def found_in(shapes: Shapes, **fields: Any) -> ModelInfo:
    info = detect(header_of(shapes, **fields))
    assert info is not None
    return info


def with_marks(shapes: dict[str, tuple[int, ...]], *marks: str) -> dict[str, tuple[int, ...]]:
    return {**shapes, **dict.fromkeys(marks, (0,))}


@pytest.mark.parametrize("variant", FULL)
def test_published_sizes_are_told_apart(variant: str) -> None:
    info = found_in(unet_shapes(FULL[variant]))
    assert (info.family, info.variant, info.sees_picture) == ("sd", variant, False)
    parameters = {
        "sd1": 859_520_964,
        "sd2": 865_910_724,
        "sdxl": 2_567_463_684,
        "sdxl_refiner": 2_259_526_660,
    }
    assert info.parts[0].kind == "unet"
    assert info.parts[0].parameters == parameters[variant]


@pytest.mark.parametrize("variant", FULL)
def test_inpainting_models_have_nine_channels(variant: str) -> None:
    info = found_in(unet_shapes(replace(FULL[variant], in_channels=9)))
    assert (info.variant, info.sees_picture) == (f"{variant}_inpaint", True)
    assert info.prediction == "eps"


def test_what_a_model_recommends_is_that_of_its_kind() -> None:
    defaults = {variant: found_in(unet_shapes(tiny)).defaults for variant, tiny in FULL.items()}
    assert [one.width for one in defaults.values()] == [512, 768, 1024, 1024]
    assert [one.clip_skip for one in defaults.values()] == [1, 2, 2, 2]


def test_missing_parts_are_told() -> None:
    assert found_in(unet_shapes(FULL["sd1"])).missing_parts == ("clip_text", "autoencoder")
    assert found_in(unet_shapes(FULL["sd2"])).missing_parts == ("open_clip_text", "autoencoder")
    assert found_in(unet_shapes(FULL["sdxl"])).missing_parts == ("clip_text", "clip_g_text", "autoencoder")
    assert found_in(unet_shapes(FULL["sdxl_refiner"])).missing_parts == ("clip_g_text", "autoencoder")


@pytest.mark.parametrize("prefix", ["", BEFORE])
@pytest.mark.parametrize("variant", FULL)
def test_a_unet_alone_is_known_by_either_names(variant: str, prefix: str) -> None:
    config = FULL[variant].unet_config
    names = diffusers_names(config)
    shapes = expected_shapes(config)
    for renamed in (shapes, {names[name]: shape for name, shape in shapes.items()}):
        info = found_in({prefix + name: shape for name, shape in renamed.items()})
        assert info.variant == variant


@pytest.mark.parametrize(
    ("marks", "prediction", "options"),
    [((), "eps", {}), (("v_pred",), "v", {}), (("v_pred", "ztsnr"), "v", {"zero_snr": True})],
)
def test_marks_among_the_tensors_tell_v_and_zero_snr(
    marks: tuple[str, ...], prediction: str, options: dict[str, Any]
) -> None:
    info = found_in(with_marks(unet_shapes(sd.SDXL), *marks))
    assert (info.prediction, info.options) == (prediction, options)


def test_zero_snr_begins_where_the_model_does() -> None:
    info = found_in(with_marks(unet_shapes(sd.SDXL), "v_pred", "ztsnr"))
    assert (info.defaults.sampler, info.defaults.scheduler) == ("euler", "sgm_uniform")
    assert "zero terminal SNR" in info.label


@pytest.mark.parametrize(
    ("metadata", "prediction"),
    [
        ({"modelspec.prediction_type": "v"}, "v"),
        ({"modelspec.prediction_type": "epsilon"}, "eps"),
        ({"ss_v_parameterization": "True"}, "v"),
        ({"modelspec.prediction_type": "who knows"}, "v"),
        ({}, "v"),
    ],
)
def test_metadata_tell_what_sd2_predicts(metadata: dict[str, str], prediction: str) -> None:
    assert found_in(unet_shapes(FULL["sd2"]), metadata=metadata).prediction == prediction


@pytest.mark.parametrize(
    ("line", "prediction"),
    [('    parameterization: "v"\n', "v"), ("  parameterization: eps\n", "eps"), ("", "eps")],
)
def test_a_yaml_beside_the_checkpoint_tells_what_it_predicts(
    line: str, prediction: str, tmp_path: Path
) -> None:
    path = sd.write_single_file(replace(sd.SD15, metadata={}), tmp_path, "other")
    path.with_suffix(".yaml").write_text(f"model:\n  params:\n{line}    timesteps: 1000\n")
    info = detect(read_header(path))
    assert info is not None
    assert info.prediction == prediction


@pytest.mark.parametrize("tiny", [sd.SD21_V, sd.SDXL_V, sd.SDXL], ids=lambda tiny: tiny.variant)
def test_the_scheduler_of_a_folder_tells_what_it_predicts(tiny: sd.TinySD, tmp_path: Path) -> None:
    info = detect(read_diffusers_folder(sd.write_folder(tiny, tmp_path / "model")))
    assert info is not None
    assert info.prediction == {"epsilon": "eps", "v_prediction": "v"}[tiny.prediction]
    assert info.options.get("zero_snr", False) == tiny.zero_snr
    assert info.missing_parts == ()


def test_a_scheduler_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = sd.write_folder(sd.SDXL, tmp_path / "model")
    file = folder / "scheduler" / "scheduler_config.json"
    stated = json.loads(file.read_text())
    playground = {"_class_name": "EDMDPMSolverMultistepScheduler", "prediction_type": "epsilon"}
    for change, word in ((playground, "EDM"), ({"prediction_type": "sample"}, "neither noise nor velocity")):
        file.write_text(json.dumps({**stated, **change}))
        with pytest.raises(CheckpointError, match=word):
            detect(read_diffusers_folder(folder))


def test_a_folder_says_whether_empty_negative_prompts_are_zeroed(tmp_path: Path) -> None:
    info = detect(read_diffusers_folder(sd.write_folder(sd.REFINER, tmp_path / "model")))
    assert info is not None
    assert info.options == {"zero_empty_negative": False}


def test_kinds_that_cannot_be_drawn_with_are_named() -> None:
    for channels, word in ((8, "instruct-pix2pix"), (5, "depth")):
        with pytest.raises(CheckpointError, match="cannot be drawn with") as error:
            detect(header_of(unet_shapes(replace(sd.SD15, in_channels=channels))))
        assert word in (error.value.why or "")
    with pytest.raises(CheckpointError, match="EDM"):
        detect(header_of(with_marks(unet_shapes(sd.SDXL), "edm_mean", "edm_std")))
    unclip = replace(FULL["sd2"].unet_config, label_size=2048)
    with pytest.raises(CheckpointError) as error:
        detect(header_of({BEFORE + name: shape for name, shape in expected_shapes(unclip).items()}))
    assert "unCLIP" in (error.value.why or "")


@pytest.mark.parametrize(
    "strange",
    ["motion_modules.0.x", "encoder_hid_proj.weight", "label_emb.weight", "input_blocks.1.1.time_stack.0"],
)
def test_relatives_are_left_to_others(strange: str) -> None:
    assert detect(header_of({**unet_shapes(sd.SD15), BEFORE + strange: (1,)})) is None


def test_a_folder_of_another_class_is_left_to_others(tmp_path: Path) -> None:
    folder = sd.write_folder(sd.SD15, tmp_path / "model")
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "UNet3DConditionModel"}))
    assert detect(read_diffusers_folder(folder)) is None


def damaged(change: dict[str, tuple[int, ...] | None]) -> CheckpointHeader:
    shapes: dict[str, Any] = {
        **unet_shapes(sd.SDXL),
        **{BEFORE + name: shape for name, shape in change.items()},
    }
    return header_of({name: shape for name, shape in shapes.items() if shape is not None})


@pytest.mark.parametrize(
    "change",
    [
        {"input_blocks.1.0.in_layers.2.weight": (32, 32, 3, 1)},
        {"input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight": (64, 99)},
        {"middle_block.1.proj_in.weight": (64, 65)},
        {"output_blocks.0.0.skip_connection.weight": None},
        {"output_blocks.3.0.in_layers.2.weight": None},
        {"input_blocks.0.0.weight": (7,)},
        {"input_blocks.0.0.weight": ()},
        {"time_embed.2.bias": (3,)},
    ],
    ids=str,
)
def test_a_tensor_that_is_missing_or_misshapen_is_an_error(change: dict[str, tuple[int, ...] | None]) -> None:
    with pytest.raises(CheckpointError) as error:
        detect(damaged(change))
    assert error.value.why
    assert error.value.hint


def test_weights_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(CheckpointError, match="wrong type"):
        detect(header_of(unet_shapes(sd.SD15), dtype="I8"))


def test_quantised_weights_are_refused_by_name() -> None:
    shapes = unet_shapes(sd.SD15)
    with pytest.raises(CheckpointError, match="scaled float8"):
        detect(header_of({**shapes, BEFORE + "out.2.scale_weight": ()}))


def test_hostile_block_numbers_build_nothing() -> None:
    shapes = {**unet_shapes(sd.SD15), BEFORE + "input_blocks.999999999.0.in_layers.2.weight": (32, 32, 3, 3)}
    with pytest.raises(CheckpointError):
        detect(header_of(shapes))


def test_heads_are_eight_in_version_one_and_of_64_features_elsewhere() -> None:
    heads = {name: UNetConfig.from_shapes(expected_shapes(tiny.unet_config)) for name, tiny in FULL.items()}
    assert [config.head_size(640) for config in heads.values()] == [80, 64, 64, 64]
