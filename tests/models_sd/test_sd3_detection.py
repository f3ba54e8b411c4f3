"""What an SD3 checkpoint is, from its header alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, ModelInfo
from sfumato_models_sd.sd3.config import Sd3Config, expected_shapes
from sfumato_models_sd.sd3.detection import detect

from ..tiny_models.headers import header_of
from ..tiny_models.sd3 import SD3, SD35_MEDIUM

MEDIUM = Sd3Config()
NEW_MEDIUM = Sd3Config(qk_norm=True, dual_blocks=tuple(range(13)), positions=384)
LARGE = Sd3Config(hidden_size=2432, blocks=38, mlp_size=4 * 2432, qk_norm=True)
TINY = SD35_MEDIUM.transformer_config
STABILITY = "model.diffusion_model."


def header(config: Sd3Config, prefix: str = STABILITY, **fields: Any) -> CheckpointHeader:
    return header_of({prefix + name: shape for name, shape in expected_shapes(config).items()}, **fields)


def changed(header: CheckpointHeader, name: str, **fields: Any) -> CheckpointHeader:
    return replace(header, tensors={**header.tensors, name: replace(header.tensors[name], **fields)})


def found(header: CheckpointHeader) -> ModelInfo:
    info = detect(header)
    assert info is not None
    return info


@pytest.mark.parametrize(
    ("config", "variant", "label", "steps", "cfg_scale", "billions"),
    [
        (MEDIUM, "3-medium", "Stable Diffusion 3 Medium", 28, 7.0, 2.08),
        (NEW_MEDIUM, "3.5-medium", "Stable Diffusion 3.5 Medium", 40, 4.5, 2.47),
        (LARGE, "3.5-large", "Stable Diffusion 3.5 Large", 40, 4.5, 8.15),
        (TINY, "3.5-medium", "Stable Diffusion 3.5 Medium (width 128, 2 blocks)", 40, 4.5, 0.0013),
    ],
)
def test_variants_and_their_defaults(
    config: Sd3Config, variant: str, label: str, steps: int, cfg_scale: float, billions: float
) -> None:
    info = found(header(config))
    assert (info.family, info.variant, info.label, info.prediction) == ("sd3", variant, label, "flow")
    assert (info.defaults.steps, info.defaults.cfg_scale) == (steps, cfg_scale)
    assert (info.defaults.sampler, info.defaults.scheduler, info.defaults.width) == ("euler", "normal", 1024)
    assert info.parts[0].parameters == pytest.approx(1e9 * billions, rel=0.05)


def test_turbo_is_told_by_what_the_checkpoint_calls_itself() -> None:
    told = {"modelspec.title": "Stable Diffusion 3.5 Large Turbo"}
    configs = {"": {"_name_or_path": "stabilityai/stable-diffusion-3.5-large-turbo"}}
    for info in (found(header(LARGE, metadata=told)), found(header(LARGE, configs=configs))):
        assert (info.variant, info.label) == ("3.5-large-turbo", "Stable Diffusion 3.5 Large Turbo")
        assert (info.defaults.steps, info.defaults.cfg_scale) == (4, 1.0)
    assert found(header(LARGE, name="sd3.5_large_turbo.safetensors")).variant == "3.5-large"


@pytest.mark.parametrize("prefix", ["", STABILITY, "transformer/"])
def test_a_transformer_is_found_behind_any_usual_prefix(prefix: str) -> None:
    assert found(header(TINY, prefix)).parts[0].prefix == prefix


def test_parts_that_the_file_lacks_are_listed() -> None:
    expected = ("autoencoder", "clip_text", "clip_g_text", "t5_encoder", "t5_tokenizer")
    assert found(header(TINY)).missing_parts == expected


def test_sizes_are_told() -> None:
    sizes = {"hidden_size": 1536, "heads": 24, "blocks": 24, "context_size": 4096, "vector_size": 2048}
    sizes |= {"latent_channels": 16, "positions": 384, "qk_norm": True, "dual_blocks": tuple(range(13))}
    info = found(header(NEW_MEDIUM))
    assert info.sizes == {**info.sizes, **sizes}


def test_a_folders_scheduler_prescribes_the_shift() -> None:
    assert found(header(TINY, configs={"scheduler": {"shift": 2.5}})).options == {"shift": 2.5}
    with pytest.raises(CheckpointError, match="scheduler_config"):
        detect(header(TINY, configs={"scheduler": {"shift": "much"}}))


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)},
        {"double_blocks.0.img_attn.qkv.weight": (9216, 3072), "img_in.weight": (3072, 64)},
        {"joint_transformer_blocks.0.attn.to_q.weight": (64, 64), "pos_embed.proj.weight": (64, 16)},
        {**expected_shapes(TINY), "controlnet_blocks.0.weight": (128, 128)},
    ],
)
def test_other_files_and_controlnets_are_not_claimed(shapes: dict[str, tuple[int, ...]]) -> None:
    assert detect(header_of(shapes)) is None


def test_a_lora_given_as_a_model_is_told_for_what_it_is() -> None:
    with pytest.raises(CheckpointError, match="is a LoRA, not a model"):
        detect(header_of({"lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (8, 1536)}))


def test_a_wrong_shape_names_tensor_expected_and_found() -> None:
    name = "joint_blocks.1.x_block.mlp.fc2.weight"
    with pytest.raises(CheckpointError) as caught:
        detect(changed(header(TINY), STABILITY + name, shape=(128, 300)))
    assert name in caught.value.what
    assert "[128, 512]" in caught.value.why
    assert "[128, 300]" in caught.value.why


@pytest.mark.parametrize(
    "name", ["x_embedder.proj.weight", "pos_embed", "joint_blocks.1.x_block.attn.ln_q.weight"]
)
def test_a_missing_tensor_is_named(name: str) -> None:
    whole = header(TINY)
    rest = {other: info for other, info in whole.tensors.items() if other != STABILITY + name}
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        detect(replace(whole, tensors=rest))


def test_a_wrong_type_and_packed_weights_are_refused() -> None:
    name = STABILITY + "joint_blocks.0.x_block.attn.qkv.weight"
    with pytest.raises(CheckpointError, match="wrong type"):
        detect(changed(header(TINY), name, dtype="U8"))
    marked = {**expected_shapes(TINY), "joint_blocks.0.x_block.attn.qkv.scale_weight": ()}
    with pytest.raises(CheckpointError, match="scaled float8"):
        detect(header_of(marked))


@pytest.mark.parametrize("stated", ["x", "0", "-64", "48"])
def test_an_unusable_head_size_is_an_error(stated: str) -> None:
    with pytest.raises(CheckpointError, match="not its sizes"):
        detect(header(SD3.transformer_config, metadata={"sfumato.sd3_head_size": stated}))


@given(
    names=st.sets(st.sampled_from(sorted(expected_shapes(TINY))), max_size=4),
    shape=st.lists(st.integers(0, 2**40), max_size=5).map(tuple),
)
@settings(max_examples=200)
def test_any_mixture_of_shapes_is_detected_or_refused(names: set[str], shape: tuple[int, ...]) -> None:
    shapes = {**expected_shapes(TINY), **dict.fromkeys(names, shape)}
    with contextlib.suppress(CheckpointError):
        assert detect(header_of(shapes)) is not None


def test_detection_imports_no_tensor_library() -> None:
    code = "import sys, sfumato_models_sd.sd3.family; print(*{'torch', 'tokenizers'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == []
