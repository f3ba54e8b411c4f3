"""The forms that weights are packed into files: what lies in a file for one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from sfumato_quant_bnb.eight_bit_weight import packed as packed_in_eight_bits
from sfumato_quant_bnb.float8_weight import packed as packed_as_float8
from sfumato_quant_bnb.float8_weight import packed_with_scales
from sfumato_quant_bnb.four_bit_numbers import levels
from sfumato_quant_bnb.four_bit_weight import packed as packed_in_four_bits
from sfumato_quant_bnb.quant_state import FourBitKind

FileForm = Literal["nf4", "fp4", "int8", "fp8_e4m3", "fp8_e5m2", "scaled_fp8"]


RELATIVE_ERROR: Mapping[FileForm, float] = {
    "nf4": 0.25,
    "fp4": 0.35,
    "int8": 0.05,
    "fp8_e4m3": 0.1,
    "fp8_e5m2": 0.15,
    "scaled_fp8": 0.1,
}
"""The most that a weight should lose: root mean square, relative to that of the weight.

Some twice of what bell curves lose: a weight that loses more has outliers, or was not written rightly.
"""


def packed_tensors(name: str, weight: Tensor, form: FileForm) -> dict[str, Tensor]:
    """What lies in a file for a weight of that name, as Forge and bitsandbytes or ComfyUI have it.

    Args:
        name: Ends in ".weight".
        weight: Plain, [outputs, inputs].

    Raises:
        SfumatoError: it takes a library that is absent.
    """
    if form in ("nf4", "fp4"):
        return _in_four_bits(name, weight, "nf4" if form == "nf4" else "fp4")
    layer = name.removesuffix(".weight")
    if form == "int8":
        eight = packed_in_eight_bits(weight)
        order = torch.zeros((), dtype=torch.uint8)  # by rows
        return {name: eight.packed, f"{layer}.SCB": eight.largest, f"{layer}.weight_format": order}
    if form == "scaled_fp8":
        scaled = packed_with_scales(weight, one_scale=True)
        assert scaled.scale is not None
        return {name: scaled.data, f"{layer}.scale_weight": scaled.scale.view(())}
    narrow = "float8_e4m3fn" if form == "fp8_e4m3" else "float8_e5m2"
    return {name: packed_as_float8(weight, narrow).data}


def _in_four_bits(name: str, weight: Tensor, kind: FourBitKind) -> dict[str, Tensor]:
    four = packed_in_four_bits(weight, kind)
    original = weight.dtype if weight.dtype in (torch.float16, torch.bfloat16) else torch.float32
    state = {
        "quant_type": kind,
        "blocksize": four.blocks.size,
        "dtype": str(original).removeprefix("torch."),
        "shape": list(weight.shape),
    }
    return {
        name: four.packed.view(-1, 1),
        f"{name}.absmax": four.scales[0],
        f"{name}.quant_map": levels(kind, torch.device("cpu")),
        f"{name}.quant_state.bitsandbytes__{kind}": torch.tensor(
            list(json.dumps(state).encode()), dtype=torch.uint8
        ),
    }
