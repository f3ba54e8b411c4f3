"""Transformers in diffusers' layout: Flux.1 is recognised, its relatives are left to other families."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_models_flux.detection import detect

from ..tiny_models.headers import header_of

diffusers = pytest.importorskip("diffusers")

SIZES = {
    "in_channels": 16,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": 20,
    "pooled_projection_dim": 12,
    "axes_dims_rope": (4, 14, 14),
}
RELATIVES: dict[str, dict[str, Any]] = {
    "BriaTransformer2DModel": {},
    "BriaFiboTransformer2DModel": {"text_encoder_dim": 20},
    "ChromaTransformer2DModel": {"approximator_num_channels": 8, "approximator_hidden_dim": 8},
    "Flux2Transformer2DModel": {"axes_dims_rope": (8, 8, 8, 8)},
    "FluxControlNetModel": {},
    "LongCatImageTransformer2DModel": {},
    "OvisImageTransformer2DModel": {},
}


def shapes_of(kind: str, **sizes: Any) -> dict[str, tuple[int, ...]]:
    """The tensors of a tiny model of one of diffusers' classes."""
    network = getattr(diffusers, kind)
    known = network.__init__.__wrapped__.__code__.co_varnames
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # diffusers' own classes use what it deprecates
        model = network(**{name: value for name, value in {**SIZES, **sizes}.items() if name in known})
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def folder(shapes: dict[str, tuple[int, ...]], kind: str) -> CheckpointHeader:
    named = {f"transformer/{name}": shape for name, shape in shapes.items()}
    return header_of(named, layout="diffusers_folder", configs={"transformer": {"_class_name": kind}})


def test_flux_is_recognised_in_a_file_and_in_a_folder() -> None:
    shapes = shapes_of("FluxTransformer2DModel")
    assert detect(header_of(shapes)) is not None
    assert detect(folder(shapes, "FluxTransformer2DModel")) is not None


@pytest.mark.parametrize("kind", RELATIVES)
def test_relatives_are_left_to_other_families(kind: str) -> None:
    assert detect(header_of(shapes_of(kind, **RELATIVES[kind]))) is None


def test_a_folder_that_says_it_is_something_else_is_left_to_other_families() -> None:
    assert detect(folder(shapes_of("FluxTransformer2DModel"), "AnotherTransformer2DModel")) is None


@pytest.mark.parametrize("shape", [(), (64, 63)])
def test_matrices_that_cannot_be_stacked_are_an_error_that_names_one(shape: tuple[int, ...]) -> None:
    name = "single_transformer_blocks.0.attn.to_k.weight"
    with pytest.raises(CheckpointError, match=name):
        detect(header_of({**shapes_of("FluxTransformer2DModel"), name: shape}))
