"""What a checkpoint is, from its header alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, Placement, TensorInfo
from sfumato_models_flux.config import FluxConfig, expected_shapes
from sfumato_models_flux.detection import detect
from sfumato_models_flux.family import FluxFamily

from ..tiny_models.headers import header_of
from ..tiny_models.library import library_of

DEV = FluxConfig()
SCHNELL = FluxConfig(guidance=False)
T5_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
TINY = FluxConfig(16, 64, 2, 1, 2, 32, 48, 4.0, (4, 14, 14), guidance=False)


def header(config: FluxConfig, prefix: str = "", **fields) -> CheckpointHeader:
    return header_of({prefix + name: shape for name, shape in expected_shapes(config).items()}, **fields)


def changed(header: CheckpointHeader, name: str, **fields) -> CheckpointHeader:
    return replace(header, tensors={**header.tensors, name: replace(header.tensors[name], **fields)})


@pytest.mark.parametrize(
    ("config", "variant", "label", "steps", "cfg_scale"),
    [
        (DEV, "dev", "Flux.1 dev", 20, 1.0),
        (SCHNELL, "schnell", "Flux.1 schnell", 4, 1.0),
        (replace(DEV, double_blocks=8), "dev", "Flux.1 dev (width 3072, 8 + 38 blocks)", 20, 1.0),
        (TINY, "flux", "Flux (width 64, 1 + 2 blocks)", 20, 3.5),
        (replace(TINY, guidance=True), "dev", "Flux.1 dev (width 64, 1 + 2 blocks)", 20, 1.0),
    ],
)
def test_variants_and_their_defaults(config, variant, label, steps, cfg_scale) -> None:
    info = detect(header(config))
    assert (info.family, info.variant, info.label, info.prediction) == ("flux", variant, label, "flow")
    assert (info.defaults.steps, info.defaults.cfg_scale) == (steps, cfg_scale)
    assert (info.defaults.sampler, info.defaults.scheduler, info.defaults.width) == ("euler", "flow", 1024)


def test_sizes_and_the_stored_type_are_told() -> None:
    info = detect(header(DEV, dtype="F8_E4M3"))
    sizes = {"hidden_size": 3072, "heads": 24, "double_blocks": 19, "single_blocks": 38, "context_size": 4096}
    sizes |= {"vector_size": 768, "latent_channels": 16, "guidance": True, "axes": (16, 56, 56)}
    assert info.sizes == {**info.sizes, **sizes}
    (transformer,) = info.parts
    assert (transformer.kind, transformer.dtype) == ("transformer", "F8_E4M3")
    assert transformer.parameters == pytest.approx(11.9e9, rel=0.01)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "transformer/"])
def test_a_transformer_is_found_behind_any_usual_prefix(prefix: str) -> None:
    info = detect(header(TINY, prefix))
    assert info.parts[0].prefix == prefix


def test_parts_that_the_file_lacks_are_listed() -> None:
    assert detect(header(TINY)).missing_parts == (
        "autoencoder",
        "clip_text",
        "t5_encoder",
        "clip_tokenizer",
        "t5_tokenizer",
    )


def test_rotary_axes_may_stand_in_the_metadata() -> None:
    info = detect(header(TINY, metadata={"sfumato.flux_axes": "[8, 12, 12]"}))
    assert info.sizes["axes"] == (8, 12, 12)


@pytest.mark.parametrize(
    "axes", ["[8, 12]", "[8, 12, 14]", "16", "no", "[-4, 18, 18]", "[3, 13, 16]", "[4.0, 14, 14]"]
)
def test_unusable_rotary_axes_are_an_error(axes: str) -> None:
    with pytest.raises(CheckpointError, match=r"axes|heads"):
        detect(header(TINY, metadata={"sfumato.flux_axes": axes}))


def test_fill_is_known_by_the_channels_of_a_picture_and_its_mask() -> None:
    """It takes these too, and makes those of the latents alone."""
    info = detect(changed(header(DEV), "img_in.weight", shape=(3072, 384)))
    assert (info.variant, info.sizes["latent_channels"], info.sees_picture) == ("fill", 16, True)
    assert (info.defaults.steps, info.defaults.cfg_scale, info.options) == (50, 1.0, {"guidance": 30.0})
    assert not detect(header(DEV)).sees_picture


def test_control_models_are_named_but_not_loaded(tmp_path) -> None:
    info = detect(changed(header(DEV), "img_in.weight", shape=(3072, 128)))
    assert (info.variant, info.sizes["latent_channels"]) == ("control", 16)
    with pytest.raises(CheckpointError, match="cannot draw from a prompt alone"):
        FluxFamily().load(info, library_of(tmp_path), Placement())


@pytest.mark.parametrize(
    "foreign",
    [
        "distilled_guidance_layer.in_proj.weight",
        "double_stream_modulation_img.lin.weight",
        "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.weight",
        "controlnet_blocks.0.weight",
        "connector.blocks.0.mlp.0.weight",
    ],
)
def test_relatives_of_flux_are_left_to_other_families(foreign: str) -> None:
    assert detect(header_of({**expected_shapes(TINY), foreign: (4, 4)})) is None


def test_relatives_that_see_no_pooled_text_are_left_to_other_families() -> None:
    shapes = expected_shapes(TINY)
    assert detect(header_of({n: s for n, s in shapes.items() if not n.startswith("vector_in.")})) is None


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)},
        {"joint_blocks.0.x_block.attn.qkv.weight": (4608, 1536), "pos_embed": (1, 36864, 1536)},
        {"lora_unet_input_blocks_1_1_proj_in.lora_down.weight": (8, 320)},
    ],
)
def test_other_files_are_not_claimed(shapes) -> None:
    assert detect(header_of(shapes)) is None


@pytest.mark.parametrize(
    "name",
    [
        "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
        "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight",
        "transformer.single_transformer_blocks.0.attn.to_q.lora.down.weight",
        "double_blocks.0.processor.qkv_lora1.down.weight",
        "single_blocks.0.processor.proj_lora.up.weight",
    ],
)
def test_a_lora_given_as_a_model_is_told_for_what_it_is(name: str) -> None:
    with pytest.raises(CheckpointError, match="is a LoRA, not a model"):
        detect(header_of({name: (8, 3072)}))


def test_a_lora_is_not_said_to_be_for_flux() -> None:
    """HunyuanVideo, Chroma and others name their blocks alike."""
    with pytest.raises(CheckpointError) as caught:
        detect(header_of({"transformer.double_blocks.0.img_attn_qkv.lora_A.weight": (8, 3072)}))
    assert "Flux" not in str(caught.value)


def test_a_wrong_shape_names_tensor_expected_and_found() -> None:
    name = "single_blocks.1.linear2.weight"
    with pytest.raises(CheckpointError) as caught:
        detect(changed(header(TINY), name, shape=(64, 300)))
    assert name in caught.value.what
    assert "[64, 320]" in caught.value.why
    assert "[64, 300]" in caught.value.why


@pytest.mark.parametrize("dtype", ["U8", "I32", "BOOL"])
def test_a_wrong_type_names_tensor_expected_and_found(dtype: str) -> None:
    name = "double_blocks.0.img_attn.qkv.weight"
    with pytest.raises(CheckpointError) as caught:
        detect(changed(header(TINY), name, dtype=dtype))
    assert name in caught.value.what
    assert dtype in caught.value.why


@pytest.mark.parametrize(
    "name", ["img_in.weight", "vector_in.in_layer.weight", "single_blocks.1.linear1.bias", "txt_in.weight"]
)
def test_a_missing_tensor_is_named(name: str) -> None:
    whole = header(TINY)
    rest = {other: info for other, info in whole.tensors.items() if other != name}
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        detect(replace(whole, tensors=rest))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("img_in.weight", (64,)),
        ("img_in.weight", ()),
        ("txt_in.weight", (64,)),
        ("double_blocks.0.img_mlp.0.weight", ()),
        ("double_blocks.0.img_attn.norm.query_norm.scale", (0,)),
        ("double_blocks.0.img_attn.norm.query_norm.scale", ()),
        ("double_blocks.0.img_attn.norm.query_norm.scale", (24,)),
        ("img_in.weight", (0, 0)),
    ],
)
def test_nonsense_shapes_are_an_error_not_a_crash(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError):
        detect(changed(header(TINY), name, shape=shape))


def test_a_gap_in_the_numbers_of_blocks_is_a_missing_tensor() -> None:
    shapes = {
        name.replace("single_blocks.1.", "single_blocks.7."): s for name, s in expected_shapes(TINY).items()
    }
    with pytest.raises(CheckpointError, match=r"lacks single_blocks\.1\."):
        detect(header_of(shapes))


@given(
    names=st.sets(st.sampled_from(sorted(expected_shapes(TINY))), max_size=4),
    shape=st.lists(st.integers(0, 2**40), max_size=5).map(tuple),
)
@settings(max_examples=200)
def test_any_mixture_of_shapes_is_detected_or_refused(names: set[str], shape: tuple[int, ...]) -> None:
    shapes = {**expected_shapes(TINY), **dict.fromkeys(names, shape)}
    with contextlib.suppress(CheckpointError):
        assert detect(header_of(shapes)) is not None


def test_norms_under_the_names_of_newer_comfyui_are_the_same_norms() -> None:
    renamed = {name.replace("_norm.scale", "_norm.weight"): s for name, s in expected_shapes(TINY).items()}
    assert detect(header_of(renamed)).sizes == detect(header(TINY)).sizes


def test_packed_weights_are_refused_by_the_name_of_their_form_before_any_shape_is_judged() -> None:
    packed = {n: (4 * s[0], 1) if n.endswith(".weight") else s for n, s in expected_shapes(TINY).items()}
    marks = {f"{name}.quant_state.bitsandbytes__nf4": (99,) for name in packed if name.endswith(".weight")}
    with pytest.raises(CheckpointError, match=r"bitsandbytes NF4.*plugin sfumato-quant-bnb reads") as caught:
        detect(header_of({**packed, **marks}, dtype="U8"))
    assert "again" not in str(caught.value)


def test_an_unknown_packing_is_told_by_its_type_before_any_shape_is_judged() -> None:
    name = "double_blocks.0.img_attn.qkv.weight"
    with pytest.raises(CheckpointError, match="wrong type"):
        detect(changed(header(TINY), name, dtype="U8", shape=(64, 96)))


def test_tensors_of_other_parts_are_neither_judged_nor_counted() -> None:
    """Without a prefix before its names the transformer could be taken for the whole file."""
    alone = header(TINY)
    position_ids = {"text_model.embeddings.position_ids": TensorInfo("I64", (1, 77), 0, 616)}
    scaled_t5 = {"text_encoders.t5xxl.transformer.scaled_fp8": TensorInfo("F8_E4M3", (2,), 616, 618)}
    t5 = f"text_encoders.t5xxl.transformer.{T5_BIAS}"
    others = {**position_ids, **scaled_t5, t5: TensorInfo("F32", (32, 64), 618, 618 + 4 * 2048)}
    info = detect(replace(alone, tensors={**alone.tensors, **others}))
    assert info.parts[0] == detect(alone).parts[0]


@pytest.mark.parametrize(
    "scheduler",
    [{"shift": 0}, {"shift": "x"}, {"use_dynamic_shifting": True, "base_shift": None}],
)
def test_an_unusable_scheduler_config_is_an_error_that_names_the_file(scheduler: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match=r"scheduler_config\.json.*shift"):
        detect(header(TINY, configs={"scheduler": scheduler}))


def test_scaled_float8_is_refused_rather_than_drawn_wrong() -> None:
    shapes = {**expected_shapes(TINY), "double_blocks.0.img_attn.qkv.scale_weight": ()}
    with pytest.raises(CheckpointError, match="scaled float8"):
        detect(header_of(shapes, dtype="F8_E4M3"))


def test_types_of_formats_to_come_are_let_through() -> None:
    whole = header(TINY)
    tensors = {
        name: TensorInfo("Q4_K", info.shape, info.start, info.end) for name, info in whole.tensors.items()
    }
    assert detect(replace(whole, format="gguf", tensors=tensors)).parts[0].dtype == "Q4_K"


def test_detection_imports_no_tensor_library() -> None:
    code = (
        "import sys, sfumato_models_flux.family; print(*{'torch', 'numpy', 'tokenizers'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == []
