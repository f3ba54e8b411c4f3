"""Shared parts recognised by their tensors, wherever they lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato_networks.parts import (
    AUTOENCODER,
    CLIP_G_TEXT,
    CLIP_TEXT,
    OPEN_CLIP_TEXT,
    T5_ENCODER,
    Part,
    recognise,
)

from ..tiny_models import TinyFlux
from ..tiny_models.headers import header_of

TINY = TinyFlux()
TENSORS = {AUTOENCODER: TINY.autoencoder(), CLIP_TEXT: TINY.clip(), T5_ENCODER: TINY.t5()}
WIDTHS = {AUTOENCODER: 16, CLIP_TEXT: 64, T5_ENCODER: 32}


def shapes(kind: str, prefix: str = "") -> dict[str, tuple[int, ...]]:
    return {prefix + name: tuple(tensor.shape) for name, tensor in TENSORS[kind].items()}


def only(found: tuple[Part, ...]) -> Part:
    (part,) = found
    return part


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (AUTOENCODER, ""),
        (AUTOENCODER, "vae."),
        (AUTOENCODER, "first_stage_model."),
        (AUTOENCODER, "vae/"),
        (CLIP_TEXT, ""),
        (CLIP_TEXT, "text_encoders.clip_l.transformer."),
        (CLIP_TEXT, "cond_stage_model.transformer."),
        (CLIP_TEXT, "conditioner.embedders.0.transformer."),
        (CLIP_TEXT, "text_encoder/"),
        (T5_ENCODER, ""),
        (T5_ENCODER, "text_encoders.t5xxl.transformer."),
        (T5_ENCODER, "text_encoder_2/"),
    ],
)
def test_a_part_is_recognised_behind_any_prefix(kind: str, prefix: str) -> None:
    others = {"model.diffusion_model.img_in.weight": (64, 64), "decoder": (1,)}
    part = only(recognise(header_of({**shapes(kind, prefix), **(others if prefix else {})})))
    assert (part.kind, part.prefix, part.width) == (kind, prefix, WIDTHS[kind])
    assert part.shapes == shapes(kind)


def test_all_parts_of_one_file_are_recognised() -> None:
    whole = {**shapes(AUTOENCODER, "vae."), **shapes(CLIP_TEXT, "clip."), **shapes(T5_ENCODER, "t5.")}
    parts = recognise(header_of(whole))
    assert {(part.kind, part.prefix) for part in parts} == {
        (AUTOENCODER, "vae."),
        (CLIP_TEXT, "clip."),
        (T5_ENCODER, "t5."),
    }


def test_clip_without_its_first_name_is_recognised() -> None:
    """As transformers 5 writes it."""
    stripped = {name.removeprefix("text_model."): shape for name, shape in shapes(CLIP_TEXT).items()}
    part = only(recognise(header_of(stripped)))
    assert part.shapes == shapes(CLIP_TEXT)


@pytest.mark.parametrize(
    ("prefix", "config", "kind"),
    [
        ("text_encoder/", {}, CLIP_TEXT),
        ("text_encoder/", {"hidden_act": "quick_gelu"}, CLIP_TEXT),
        ("text_encoder/", {"hidden_act": "gelu"}, OPEN_CLIP_TEXT),
        ("text_encoder_2/", {"hidden_act": "gelu"}, CLIP_G_TEXT),
        ("text_encoders.clip_g.transformer.", {}, CLIP_G_TEXT),
        ("text_encoders.clip_h.transformer.", {}, OPEN_CLIP_TEXT),
        ("conditioner.embedders.1.transformer.", {}, CLIP_G_TEXT),
    ],
)
def test_a_clip_of_no_usual_width_is_told_by_its_place_or_its_config(
    prefix: str, config: dict[str, str], kind: str
) -> None:
    header = header_of(shapes(CLIP_TEXT, prefix), configs={prefix.rstrip("/"): config})
    part = only(recognise(header))
    assert (part.kind, part.prefix) == (kind, prefix)
    assert part.shapes == shapes(CLIP_TEXT)


def test_a_vision_model_in_openclips_layout_is_no_text_encoder() -> None:
    assert recognise(header_of({"visual.transformer.resblocks.0.ln_1.weight": (64,)})) == ()


def test_t5_with_its_embedding_under_the_other_name_is_recognised() -> None:
    named = shapes(T5_ENCODER)
    named["encoder.embed_tokens.weight"] = named.pop("shared.weight")
    assert only(recognise(header_of(named))).shapes == shapes(T5_ENCODER)


def test_an_autoencoder_in_diffusers_layout_is_shown_in_the_original_one() -> None:
    diffusers = pytest.importorskip("diffusers")
    model = diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[16, 32, 32, 32],
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=8,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    stored = {f"vae/{name}": tensor for name, tensor in model.state_dict().items()}
    header = header_of({name: tuple(tensor.shape) for name, tensor in stored.items()})
    header = replace(header, configs={"vae": {"scaling_factor": 0.5}})
    part = only(recognise(header))
    assert part.shapes == shapes(AUTOENCODER)
    assert {name: tuple(t.shape) for name, t in part.tensors(stored).items()} == part.shapes
    assert part.config == {"scaling_factor": 0.5}


@pytest.mark.parametrize(
    "foreign",
    [
        {"decoder.up.0.block.0.conv1.weight": (96, 96, 3, 3, 3)},  # a video autoencoder
        {
            f"encoder.block.{n}.layer.0.SelfAttention.relative_attention_bias.weight": (32, 64)
            for n in (0, 1)
        },  # UMT5
        {"xencoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 64)},
        {},
    ],
)
def test_other_networks_are_not_mistaken_for_parts(foreign: dict[str, tuple[int, ...]]) -> None:
    assert recognise(header_of(foreign)) == ()


def test_a_part_tells_its_size_and_the_type_of_most_of_it() -> None:
    header = header_of(shapes(T5_ENCODER))
    name = "encoder.final_layer_norm.weight"
    mixed = {**header.tensors, name: replace(header.tensors[name], dtype="F32")}
    info = only(recognise(replace(header, tensors=mixed))).info
    assert info.dtype == "BF16"
    assert info.parameters == sum(tensor.numel() for tensor in TENSORS[T5_ENCODER].values())
    assert info.size_bytes == 2 * info.parameters


def test_a_part_takes_its_tensors_from_the_opened_file() -> None:
    opened = {f"t5.{name}": tensor for name, tensor in TENSORS[T5_ENCODER].items()} | {"else": torch.ones(1)}
    part = only(recognise(header_of(shapes(T5_ENCODER, "t5."), name="x.safetensors")))
    assert part.tensors(opened).keys() == TENSORS[T5_ENCODER].keys()
    assert part.header.path == Path("x.safetensors")
