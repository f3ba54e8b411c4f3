"""Adapters that are damaged, odd, or made for something else: each a clear error, or told in the report."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfumato.errors import CheckpointError, SfumatoError
from sfumato.models import LoadedModel
from sfumato_adapters.reading import read_adapter

from ..tiny_models import sd
from .adapter_files import linear_layers, lora_of, random, read
from .loaded_models import load_flux, load_sd

LAYER = "transformer.transformer_blocks.0.attn.to_q"
DOWN, UP = f"{LAYER}.lora_A.weight", f"{LAYER}.lora_B.weight"
WIDTH = 64


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_flux(tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_sd(tmp_path_factory.mktemp("sd15"), sd.SD15)


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_sd(tmp_path_factory.mktemp("sdxl"), sd.SDXL)


def good() -> dict[str, Tensor]:
    return lora_of({LAYER: (WIDTH, WIDTH)}, names="peft", alpha=None)


def with_value(tensor: Tensor, value: float) -> Tensor:
    changed = tensor.clone()
    changed.view(-1)[3] = value
    return changed


DAMAGED: dict[str, tuple[dict[str, Tensor | None], str]] = {
    "NaN": ({UP: with_value(good()[UP], float("nan"))}, "NaN"),
    "infinite": ({DOWN: with_value(good()[DOWN], float("-inf"))}, "infinite"),
    "NaN in half": ({DOWN: with_value(good()[DOWN].half(), float("nan"))}, "NaN"),
    "NaN in a byte": ({DOWN: with_value(good()[DOWN], float("nan")).to(torch.float8_e4m3fn)}, "NaN"),
    "NaN alpha": ({f"{LAYER}.alpha": torch.tensor(float("nan"))}, "alpha"),
    "many alphas": ({f"{LAYER}.alpha": torch.ones(2)}, "alpha"),
    "no up": ({UP: None}, "'lora_up'"),
    "no down": ({DOWN: None}, "'lora_down'"),
    "rank 0": ({DOWN: torch.zeros(0, WIDTH), UP: torch.zeros(WIDTH, 0)}, "rank is 0"),
    "two ranks": ({DOWN: torch.ones(3, WIDTH)}, "rank"),
    "one dimension": ({DOWN: torch.ones(WIDTH)}, "dimensions"),
    "whole numbers": ({DOWN: torch.ones(2, WIDTH, dtype=torch.int8)}, "int8"),
    "complex": ({DOWN: torch.ones(2, WIDTH, dtype=torch.complex64)}, "complex"),
    "twice in one name": ({f"{LAYER}.lora_down.weight": good()[DOWN]}, "two tensors"),
    "lengths of two changes": (
        {f"{LAYER}.dora_scale": torch.ones(WIDTH, 1), f"{LAYER}.diff": torch.ones(WIDTH, WIDTH)},
        "lengths",
    ),
    "two adapters": ({f"{LAYER}.lora_A.other.weight": good()[DOWN]}, "two tensors"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_refused_with_the_layer_named(flux: LoadedModel, case: str) -> None:
    changes, reason = DAMAGED[case]
    tensors = {name: tensor for name, tensor in {**good(), **changes}.items() if tensor is not None}
    with pytest.raises(CheckpointError) as refused:
        read(flux, tensors)
    assert LAYER in str(refused.value)
    assert reason in refused.value.why
    assert refused.value.hint


@pytest.mark.parametrize(
    ("other", "outputs"),
    [
        ("lora_transformer_transformer_blocks_0_attn_to_q", WIDTH),
        ("lora_unet_double_blocks_0_img_attn_qkv", 3 * WIDTH),
    ],
)
def test_one_layer_under_two_names_is_refused(flux: LoadedModel, other: str, outputs: int) -> None:
    with pytest.raises(CheckpointError, match="same layer") as refused:
        read(flux, good() | lora_of({other: (outputs, WIDTH)}))
    assert LAYER in str(refused.value)
    assert other in str(refused.value)


def test_other_rows_of_one_layer_are_no_second_name(flux: LoadedModel) -> None:
    tensors = good() | lora_of({LAYER.replace("to_q", "to_k"): (WIDTH, WIDTH)}, names="peft")
    report = read(flux, tensors).report
    assert report.is_full
    assert report.layers == {"transformer": 2}


def test_without_alpha_it_is_the_rank(flux: LoadedModel) -> None:
    plain = read(flux, good()).changes[0].low_rank()
    stated = read(flux, good() | {f"{LAYER}.alpha": torch.tensor(2.0)}).changes[0].low_rank()
    assert plain is not None
    assert stated is not None
    assert plain[1].equal(stated[1])


def test_an_alpha_of_0_has_no_effect_and_is_told(flux: LoadedModel) -> None:
    adapter = read(flux, good() | {f"{LAYER}.alpha": torch.tensor(0.0)})
    product = adapter.changes[0].low_rank()
    assert product is not None
    assert not product[1].any()
    assert adapter.notes == ("style.safetensors: layers without effect, for their alpha is 0: 1.",)
    assert not read(flux, good()).notes


def test_a_whole_number_for_alpha_is_taken(flux: LoadedModel) -> None:
    assert read(flux, good() | {f"{LAYER}.alpha": torch.tensor([4])}).report.is_full


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin", ".PTH"])
def test_pickles_are_refused(flux: LoadedModel, suffix: str) -> None:
    with pytest.raises(CheckpointError, match="pickles") as refused:
        read_adapter(Path(f"style{suffix}"), good(), {}, flux)
    assert "safetensors" in refused.value.hint


def test_an_empty_file_is_refused(flux: LoadedModel) -> None:
    with pytest.raises(CheckpointError, match="no tensors"):
        read(flux, {})


def test_a_learned_word_is_sent_to_its_folder(flux: LoadedModel) -> None:
    with pytest.raises(CheckpointError, match="no LoRA") as refused:
        read(flux, {"clip_l": torch.ones(2, 64), "clip_g": torch.ones(2, 128)})
    assert "embeddings" in refused.value.hint


def test_a_whole_model_is_no_adapter(flux: LoadedModel) -> None:
    weights = {
        f"{name}.weight": torch.ones(size)
        for name, size in linear_layers(flux.networks["transformer"]).items()
    }
    with pytest.raises(CheckpointError, match="whole weights"):
        read(flux, weights)


def test_a_layer_trained_as_a_whole_beside_lora_is_taken(flux: LoadedModel) -> None:
    value = random("value", WIDTH, WIDTH)
    adapter = read(flux, good() | {"transformer.transformer_blocks.1.attn.to_out.0.weight": value})
    assert adapter.report.kinds == ("lora", "set")
    original = flux.networks["transformer"].double_blocks[1].img_attn.proj.weight
    torch.testing.assert_close(original + adapter.changes[1].delta(original), value)


def test_tensors_without_meaning_are_told(flux: LoadedModel) -> None:
    strange = {"word.clip_l": torch.ones(1, 64), f"{LAYER}.hada": torch.ones(2)}
    report = read(flux, good() | strange).report
    assert report.unknown == tuple(strange)
    assert not report.is_full
    assert report.keys == 4


def test_layers_that_the_model_lacks_are_told(flux: LoadedModel) -> None:
    missing = lora_of({"transformer.transformer_blocks.57.attn.to_q": (WIDTH, WIDTH)}, names="peft")
    report = read(flux, good() | missing).report
    assert report.unmatched == tuple(missing)
    assert not report.is_full


def test_biases_that_the_layer_lacks_are_told(sd15: LoadedModel) -> None:
    stem = "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q"
    report = read(sd15, lora_of({stem: (WIDTH, WIDTH)}) | {f"{stem}.diff_b": torch.ones(WIDTH)}).report
    assert report.unmatched == (f"{stem}.diff_b",)


@pytest.mark.parametrize(
    "metadata", [{}, {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}], ids=str
)
def test_names_that_fit_with_shapes_that_do_not_are_refused_as_a_whole(
    sd15: LoadedModel, sdxl: LoadedModel, metadata: dict[str, str]
) -> None:
    """Names of an SDXL LoRA exist in SD 1.5 too."""
    layers = linear_layers(sdxl.networks["unet"])
    shared = {name: size for name, size in layers.items() if name in sd15.layer_names("unet")}
    assert shared
    tensors = lora_of({f"lora_unet_{name.replace('.', '_')}": size for name, size in shared.items()})
    with pytest.raises(CheckpointError, match="does not fit 'sd15'") as refused:
        read(sd15, tensors, metadata)
    assert ("SDXL" in refused.value.what) == bool(metadata)
    assert "lora_unet_" in refused.value.why


def test_an_adapter_of_another_family_is_refused(sd15: LoadedModel) -> None:
    with pytest.raises(CheckpointError, match=r"Flux\.1") as refused:
        read(
            sd15,
            good() | lora_of({"transformer.single_transformer_blocks.0.proj_out": (64, 64)}, names="peft"),
        )
    assert sd15.info.label in refused.value.what


def test_a_text_encoder_that_families_share_does_not_make_it_fit(sd15: LoadedModel) -> None:
    shared = {"lora_te1_text_model_encoder_layers_0_self_attn_q_proj": (WIDTH, WIDTH)}
    assert read(sd15, lora_of(shared)).report.is_full
    with pytest.raises(CheckpointError, match="none of the layers"):
        read(sd15, lora_of({**shared, "lora_unet_double_blocks_0_img_attn_proj": (WIDTH, WIDTH)}))


KEYS = st.sampled_from(
    [
        *(
            f"{LAYER}.{suffix}"
            for suffix in ("lora_A.weight", "lora_B.weight", "alpha", "dora_scale", "lora_B.bias")
        ),
        *(f"{LAYER}.{suffix}" for suffix in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1")),
        *(
            f"{LAYER}.{suffix}"
            for suffix in ("lokr_w1", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "diff", "diff_b")
        ),
        *(
            f"{LAYER}.{suffix}"
            for suffix in ("a1.weight", "a2.weight", "b1.weight", "b2.weight", "bm.weight")
        ),
        *(
            f"{LAYER}.{suffix}"
            for suffix in ("oft_blocks", "oft_diag", "rescale", "weight", "on_input", "ia3_l")
        ),
        *(
            f"{LAYER}.{suffix}"
            for suffix in ("w_norm", "b_norm", "scale", "scalar", "lora_mid.weight", "set_weight")
        ),
        "lora_unet_double_blocks_1_img_attn_qkv.lora_up.weight",
        "lora_unet_double_blocks_1_img_attn_qkv.lora_down.weight",
        "double_blocks.0.processor.qkv_lora1.up.weight",
        "transformer.norm_out.linear.diff",
        "transformer.transformer_blocks.9.attn.to_q.diff",
        "bundle_emb.word.clip_l",
    ]
) | st.text(max_size=12)
SHAPES = st.sampled_from(
    [
        (),
        (1,),
        (2, 64),
        (64, 2),
        (64, 64),
        (64,),
        (8, 8),
        (4, 16, 16),
        (2, 4, 16, 16),
        (2, 2, 1, 1),
        (0, 64),
        (192, 2),
    ]
)
DTYPES = st.sampled_from([torch.float32, torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.int64])
VALUES = st.sampled_from([0.5, 0.5, 0.5, 0.0, float("nan")])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, st.tuples(SHAPES, DTYPES, VALUES), max_size=6), st.booleans())
def test_any_tensors_are_accounted_for_or_refused(
    flux: LoadedModel, stored: dict[str, tuple[tuple[int, ...], torch.dtype, float]], with_good: bool
) -> None:
    tensors = good() if with_good else {}
    for name, (shape, dtype, value) in stored.items():
        number = 0 if value != value and not dtype.is_floating_point else value
        tensors[name] = torch.full(shape, number, dtype=torch.float32).to(dtype)
    try:
        adapter = read(flux, tensors)
    except SfumatoError:
        return
    report = adapter.report
    aside = [*report.unknown, *report.unmatched]
    assert len(aside) == len(set(aside))
    assert set(aside) <= set(tensors)
    assert len(aside) < len(tensors)
    for change in adapter.changes:
        module = flux.networks[change.part].get_submodule(change.target.layer)
        original = getattr(module, change.parameter)[
            slice(*change.target.rows) if change.target.rows else slice(None)
        ]
        delta = change.delta(original)
        assert (delta.shape, delta.dtype) == (original.shape, torch.float32)
        product = change.low_rank()
        if product is not None:
            torch.testing.assert_close((product[1] @ product[0]).reshape(delta.shape), delta)


WHOLE: dict[str, dict[str, tuple[int, ...]]] = {
    "lora": {"lora_A.weight": (2, 64), "lora_B.weight": (64, 2), "alpha": (), "lora_mid.weight": (2, 2)},
    "dora": {"lora_down.weight": (2, 64), "lora_up.weight": (64, 2), "dora_scale": (1, 64), "scalar": (1,)},
    "loha": {"hada_w1_a": (64, 2), "hada_w1_b": (2, 64), "hada_w2_a": (64, 2), "hada_w2_b": (2, 64)},
    "loha by Tucker": {
        **{f"hada_w{number}_{side}": (2, 64) for number in (1, 2) for side in "ab"},
        **{f"hada_t{number}": (2, 2) for number in (1, 2)},
    },
    "lokr": {"lokr_w1": (8, 4), "lokr_w2_a": (8, 2), "lokr_w2_b": (2, 16), "alpha": ()},
    "lokr by Tucker": {"lokr_w1": (8, 4), "lokr_w2_a": (2, 8), "lokr_w2_b": (2, 16), "lokr_t2": (2, 2)},
    "glora": {"a1.weight": (64, 2), "a2.weight": (2, 64), "b1.weight": (64, 2), "b2.weight": (2, 64)},
    "oft": {"oft_blocks": (4, 16, 16), "rescale": (64, 1), "alpha": ()},
    "boft": {"oft_blocks": (2, 4, 16, 16), "rescale": (64, 1)},
    "ia3": {"weight": (64,), "on_input": (), "diff_b": (64,)},
    "full": {"diff": (64, 64), "diff_b": (64,)},
}
CHANGES = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["drop", "flat", "wide", "flip", "odd"])), max_size=3
)


def damage(shape: tuple[int, ...], how: str) -> tuple[int, ...] | None:
    """Another shape; None for no tensor at all."""
    if how == "drop":
        return None
    return {
        "flat": shape[:1],
        "wide": (*shape, 1, 3),
        "flip": shape[::-1],
        "odd": tuple(n + 1 for n in shape),
    }[how]


@given(st.sampled_from(sorted(WHOLE)), CHANGES)
def test_any_damage_to_any_kind_is_refused_or_without_harm(
    flux: LoadedModel, kind: str, changes: list[tuple[int, str]]
) -> None:
    shapes: dict[str, tuple[int, ...] | None] = dict(WHOLE[kind])
    for number, how in changes:
        name = list(shapes)[number % len(shapes)]
        shapes[name] = damage(shapes[name] or (), how)
    tensors = {
        f"{LAYER}.{name}": 0.1 * random(name, *shape) for name, shape in shapes.items() if shape is not None
    }
    if f"{LAYER}.on_input" in tensors:
        tensors[f"{LAYER}.on_input"] = torch.ones(tensors[f"{LAYER}.on_input"].shape, dtype=torch.int64)
    try:
        adapter = read(flux, tensors)
    except SfumatoError:
        assert changes
        return
    for change in adapter.changes:
        weight = flux.networks["transformer"].double_blocks[0].img_attn.qkv.weight[:WIDTH]
        if change.parameter == "weight":
            assert change.delta(weight).isfinite().all()
