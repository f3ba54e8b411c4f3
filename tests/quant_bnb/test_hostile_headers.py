"""Whatever a header says, it is unpacked or refused in words; nothing large is read for it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.formats import SafetensorsFormat
from sfumato_quant_bnb.eight_bit import Int8
from sfumato_quant_bnb.float8 import ScaledFloat8
from sfumato_quant_bnb.four_bit import Fp4, Nf4

from ..tiny_models.files import save
from .packed_files import with_four_bits

NAME = "layer.weight"
STATE = f"{NAME}.quant_state.bitsandbytes__nf4"
GOOD = {"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [64, 128]}
ALL = (Nf4(), Fp4(), Int8(), ScaledFloat8())
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


def bytes_of(text: str | bytes) -> Tensor:
    raw = text.encode() if isinstance(text, str) else text
    return torch.tensor(list(raw), dtype=torch.uint8)


def tensors_of(state: Any = GOOD, **changed: Tensor | None) -> dict[str, Tensor]:
    tensors = with_four_bits({NAME: torch.randn(64, 128)}, "nf4")
    tensors[STATE] = bytes_of(state if isinstance(state, bytes) else json.dumps(state))
    for ending, tensor in changed.items():
        tensors.pop(f"{NAME}.{ending}" if ending != "weight" else NAME)
        if tensor is not None:
            tensors[f"{NAME}.{ending}" if ending != "weight" else NAME] = tensor
    return tensors


def header_of(folder: Path, tensors: dict[str, Tensor]) -> CheckpointHeader:
    return SafetensorsFormat().read_header(save(folder / "x.safetensors", tensors))


def unpacked_by_all(header: CheckpointHeader) -> CheckpointHeader:
    for quantisation in ALL:
        header = quantisation.unpacked(header) or header
    return header


def test_a_good_one_is_unpacked(tmp_path: Path) -> None:
    unpacked = Nf4().unpacked(header_of(tmp_path, tensors_of()))
    assert unpacked is not None
    assert unpacked.shapes == {NAME: (64, 128)}
    assert unpacked.tensors[NAME].dtype == "NF4"


def test_plain_weights_are_left_alone(tmp_path: Path) -> None:
    header = header_of(tmp_path, {NAME: torch.zeros(4, 4)})
    assert [quantisation.unpacked(header) for quantisation in ALL] == [None] * len(ALL)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (b"\xff\x00garbage", "no JSON"),
        (b"", "no JSON"),
        (b"[" * 4000, "no JSON"),
        ([], "no JSON object"),
        ({**GOOD, "quant_type": "fp4"}, "said to be 'fp4'"),
        ({**GOOD, "dtype": "int8"}, "packed from 'int8'"),
        ({**GOOD, "dtype": ["float32"]}, "packed from"),
        ({**GOOD, "shape": None}, "shape is said to be None"),
        ({**GOOD, "shape": []}, "shape is said to be"),
        ({**GOOD, "shape": [64, -128]}, "shape is said to be"),
        ({**GOOD, "shape": [True, 8192]}, "shape is said to be"),
        ({**GOOD, "shape": [64.0, 128]}, "shape is said to be"),
        ({**GOOD, "shape": [64] * 9}, "shape is said to be"),
        ({**GOOD, "shape": [2**39, 2**39]}, "takes .* bytes in 4 bits, and it has 4096"),
        ({**GOOD, "shape": [64, 64]}, "takes 2048 bytes in 4 bits, and it has 4096"),
        ({**GOOD, "blocksize": 0}, "blocksize is said to be 0"),
        ({**GOOD, "blocksize": 7}, "blocksize is said to be 7"),
        ({**GOOD, "blocksize": "64"}, "blocksize is said to be '64'"),
        ({**GOOD, "blocksize": 128}, "absmax' should be 64 numbers"),
        ({**GOOD, "nested_blocksize": 256}, "nested_offset is said to be None"),
        ({**GOOD, "nested_blocksize": 256, "nested_offset": float("nan")}, "no finite number"),
        ({**GOOD, "nested_blocksize": 256, "nested_offset": 10**400}, "no finite number"),
        ({**GOOD, "nested_blocksize": 256, "nested_offset": 0.5}, "absmax' should be 128 numbers as U8"),
    ],
)
def test_a_wrong_description_is_refused_in_words(tmp_path: Path, state: Any, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        Nf4().unpacked(header_of(tmp_path, tensors_of(state)))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"absmax": None}, "absmax' is missing"),
        ({"absmax": torch.zeros(127)}, "absmax' should be 128 numbers as F32"),
        ({"absmax": torch.zeros(128).half()}, "as F16"),
        ({"weight": None}, "packed weight itself is missing"),
        ({"weight": torch.zeros(4095, dtype=torch.uint8)}, "and it has 4095"),
    ],
)
def test_missing_and_misshapen_companions_are_named(tmp_path: Path, changed: Any, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        Nf4().unpacked(header_of(tmp_path, tensors_of(**changed)))


def test_a_description_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    header = header_of(tmp_path, tensors_of())
    large = replace(header.tensors[STATE], end=header.tensors[STATE].start + 2**40)
    with pytest.raises(CheckpointError, match="more than 4096"):
        Nf4().unpacked(replace(header, tensors={**header.tensors, STATE: large}))


def test_a_file_that_ends_too_early_or_is_gone_is_told(tmp_path: Path) -> None:
    header = header_of(tmp_path, tensors_of())
    header.path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="ends before it"):
        Nf4().unpacked(header)
    header.path.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        Nf4().unpacked(header)


@given(state=st.dictionaries(st.sampled_from([*GOOD, "nested_blocksize", "nested_offset"]), ANY_JSON))
@settings(max_examples=100)
def test_any_description_is_unpacked_or_refused(state: dict[str, Any], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    with contextlib.suppress(CheckpointError):
        assert Nf4().unpacked(header_of(folder, tensors_of({**GOOD, **state}))) is not None


ENDINGS = (
    "",
    ".absmax",
    ".nested_absmax",
    ".quant_map",
    ".quant_state.bitsandbytes__nf4",
    ".quant_state.bitsandbytes__fp4",
)
NAMES = (
    *(NAME + ending for ending in ENDINGS),
    *(f"layer.{e}" for e in ("SCB", "weight_format", "scale_weight", "weight_scale", "comfy_quant")),
    "layer.weight_scale_2",
    "scaled_fp8",
    ".SCB",
    ".scale_weight",
)
INFOS = st.builds(
    TensorInfo,
    dtype=st.sampled_from(["U8", "I8", "F32", "F16", "F8_E4M3", "F8_E5M2", "BF16"]),
    shape=st.lists(st.integers(0, 2**40), max_size=3).map(tuple),
    start=st.integers(0, 400),
    end=st.integers(0, 2**50),
)


@given(tensors=st.dictionaries(st.sampled_from(NAMES), INFOS), content=st.binary(max_size=400))
@settings(max_examples=200)
def test_any_mixture_of_names_and_shapes_is_unpacked_or_refused(
    tensors: dict[str, TensorInfo], content: bytes, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.safetensors"
    path.write_bytes(content)
    header = CheckpointHeader(path, "single_file", "safetensors", tensors)
    with contextlib.suppress(CheckpointError):
        header = unpacked_by_all(header)
    assert set(header.tensors) <= set(tensors)


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"layer.SCB": torch.zeros(3)}, "packed weight itself is missing"),
        ({"layer.SCB": torch.zeros(3), NAME: torch.zeros(3, 4)}, "not a matrix as I8"),
        ({"layer.SCB": torch.zeros(2), NAME: torch.zeros(3, 4, dtype=torch.int8)}, "3 outputs have scales"),
        ({"layer.scale_weight": torch.zeros(1)}, "weight that it scales is missing"),
        ({"layer.scale_weight": torch.zeros(2), NAME: torch.zeros(3, 4)}, "one for each of 3 outputs"),
        ({"layer.comfy_quant": bytes_of("x")}, "no JSON object that names a format"),
        ({"layer.comfy_quant": bytes_of("{}")}, "no JSON object that names a format"),
    ],
)
def test_damaged_eight_bit_weights_are_refused_in_words(
    tmp_path: Path, tensors: dict[str, Tensor], told: str
) -> None:
    header = header_of(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=told):
        unpacked_by_all(header)
