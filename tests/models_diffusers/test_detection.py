"""Folders are told apart by their configs and the shapes of their weights, without diffusers."""

from __future__ import annotations

from typing import Any

import pytest

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_models_diffusers.detection import detect
from sfumato_models_diffusers.recipes import RECIPES

from ..tiny_models.headers import header_of

QWEN = {
    "_class_name": "QwenImageTransformer2DModel",
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "joint_attention_dim": 3584,
}
QWEN_SHAPES = {
    "transformer/img_in.weight": (3072, 64),
    "transformer/txt_in.weight": (3072, 3584),
    "transformer/txt_norm.weight": (3584,),
    "text_encoder/lm_head.weight": (152064, 3584),
    "vae/decoder.conv_in.weight": (384, 16, 3, 3, 3),
}


def folder(
    shapes: dict[str, tuple[int, ...]], transformer: dict[str, Any], **configs: dict[str, Any]
) -> CheckpointHeader:
    index = configs.pop("index", {"_class_name": "QwenImagePipeline"})
    return header_of(
        shapes,
        name="Qwen-Image",
        layout="diffusers_folder",
        configs={"": index, "transformer": transformer, **configs},
    )


def test_a_folder_is_known_by_its_pipeline_and_transformer() -> None:
    info = detect(folder(QWEN_SHAPES, QWEN, scheduler={"shift_terminal": 0.02}))
    assert (info.family, info.variant, info.label) == ("diffusers", "qwen_image", "Qwen-Image")
    assert (info.defaults.scheduler, info.defaults.steps, info.defaults.cfg_scale) == (
        "flow_to_terminal",
        50,
        4.0,
    )
    assert [part.kind for part in info.parts] == ["transformer", "text_encoder", "autoencoder"]
    assert info.missing_parts == ()
    assert info.sizes["num_attention_heads"] == 24


def test_distilled_models_are_told_by_what_their_folder_says() -> None:
    transformer = {
        "_class_name": "Flux2Transformer2DModel",
        "num_attention_heads": 24,
        "attention_head_dim": 128,
    }
    shapes = {
        "transformer/x_embedder.weight": (3072, 128),
        "transformer/context_embedder.weight": (3072, 7680),
    }
    for distilled, steps in ((True, 4), (False, 50)):
        index = {"_class_name": "Flux2KleinPipeline", "is_distilled": distilled}
        assert detect(folder(shapes, transformer, index=index)).defaults.steps == steps


@pytest.mark.parametrize("shift", [3.0, 6.0])
def test_turbo_is_told_by_its_scheduler(shift: float) -> None:
    transformer = {"_class_name": "ZImageTransformer2DModel", "dim": 3840}
    shapes = {
        "transformer/cap_embedder.1.weight": (3840, 2560),
        "transformer/layers.0.attention.to_q.weight": (3840, 3840),
    }
    index = {"_class_name": "ZImagePipeline"}
    info = detect(folder(shapes, transformer, index=index, scheduler={"shift": shift}))
    assert (info.defaults.steps, info.defaults.cfg_scale) == ((9, 1.0) if shift == 3.0 else (50, 5.0))


@pytest.mark.parametrize(
    ("pipeline", "transformer"),
    [
        ("FluxPipeline", "FluxTransformer2DModel"),
        ("StableDiffusion3Pipeline", "SD3Transformer2DModel"),
        ("ChromaPipeline", "ChromaTransformer2DModel"),
        ("StableDiffusionPipeline", None),
        ("QwenImageEditPipeline", "QwenImageTransformer2DModel"),
        (None, None),
    ],
)
def test_what_has_no_recipe_is_left_to_others(pipeline: str | None, transformer: str | None) -> None:
    configs = {} if transformer is None else {"_class_name": transformer}
    index = {} if pipeline is None else {"_class_name": pipeline}
    assert detect(folder(QWEN_SHAPES, configs, index=index)) is None


def test_a_single_file_is_left_to_others() -> None:
    assert detect(header_of(QWEN_SHAPES)) is None


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("transformer/img_in.weight", (1536, 64), "3072 outputs"),
        ("transformer/img_in.weight", None, "lacks img_in.weight"),
        ("vae/decoder.conv_in.weight", (384, 0, 3, 3, 3), "is empty"),
    ],
)
def test_weights_that_cannot_be_right_are_an_error(
    name: str, shape: tuple[int, ...] | None, said: str
) -> None:
    shapes = dict(QWEN_SHAPES)
    del shapes[name]
    if shape is not None:
        shapes[name] = shape
    with pytest.raises(CheckpointError, match=said):
        detect(folder(shapes, QWEN))


@pytest.mark.parametrize("broken", [{"num_attention_heads": None}, {"attention_head_dim": "x"}])
def test_a_config_that_says_no_sizes_is_an_error(broken: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        detect(folder(QWEN_SHAPES, {**QWEN, **broken}))


def test_parts_that_are_not_there_are_listed() -> None:
    shapes = {name: shape for name, shape in QWEN_SHAPES.items() if not name.startswith("vae/")}
    assert detect(folder(shapes, QWEN)).missing_parts == ("autoencoder",)


def test_every_recipe_knows_a_pipeline_that_diffusers_has() -> None:
    diffusers = pytest.importorskip("diffusers")
    for recipe in RECIPES:
        assert hasattr(diffusers, recipe.pipeline_class)
        assert hasattr(diffusers, recipe.transformer_class)
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
