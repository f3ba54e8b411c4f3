"""fp8 (https://arxiv.org/abs/2209.05433): as it is, and with a scale, as ComfyUI stores it.

ComfyUI's older files name a scale `scale_weight` and carry a tensor `scaled_fp8`, newer ones name it
`weight_scale` and say a layer's form in a JSON text, `comfy_quant` beside it or one for all in the metadata.
Scales of inputs serve fp8 products and are not used: inputs stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_quant_bnb.folding import FoldedTensors, folded
from sfumato_quant_bnb.small_tensors import read_bytes

if TYPE_CHECKING:
    from torch import Tensor

_SCALES = (".scale_weight", ".weight_scale")
_UNUSED = (".scale_input", ".input_scale")
_SAYS = ".comfy_quant"
_MARK = "scaled_fp8"
_FORMATS = ("float8_e4m3fn", "float8_e5m2")
_MOST_BYTES = 4096
_SAYS_FOR_ALL = "_quantization_metadata"
_SCALED_TYPES = ("F8_E4M3", "F8_E5M2", "BF16", "F16", "F32")
"""Some layers of a scaled file are not fp8; their scales hold all the same."""
_SCALE_TYPES = ("F32", "F16", "BF16")


class _Float8:
    """Plain fp8 needs no unpacking: networks keep it and cast on use."""

    dtype: str

    def unpacked(self, header: CheckpointHeader) -> CheckpointHeader | None:
        """None: what has no scales is read as it is."""
        return None

    def open(self, header: CheckpointHeader, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors as they are."""
        return tensors

    def pack(self, weight: Tensor, device: str) -> Tensor:
        """The weight rounded to fp8; numbers out of its range become its largest."""
        from sfumato_networks.stored.tensor import WeightTensor
        from sfumato_quant_bnb.float8_weight import packed

        return WeightTensor(packed(weight.detach().to(device), self.dtype), weight.dtype)


class Float8E4M3(_Float8):
    """The finer one: up to 448."""

    dtype = "float8_e4m3fn"


class Float8E5M2(_Float8):
    """The wider one: up to 57344."""

    dtype = "float8_e5m2"


class ScaledFloat8:
    """fp8 (e4m3) with a scale a layer, or an output; fulfils `sfumato.quantisation.Quantisation`."""

    def unpacked(self, header: CheckpointHeader) -> CheckpointHeader | None:
        """The header without scales; raises `CheckpointError` where they do not fit.

        Layers in forms that are not read (NVFP4, MXFP8 ...) are left as they are.
        """
        said = _said(header)
        beside = _beside(header, _scales(header, said), said)
        return folded(header, {}, beside) if beside else None

    def open(self, header: CheckpointHeader, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, scaled ones together with their scales."""
        from sfumato_quant_bnb.float8_weight import opened

        said = _said(header)
        scales = _scales(header, said)
        makers = {
            f"{layer}.weight": partial(opened, tensors, f"{layer}.weight", scale)
            for layer, scale in scales.items()
        }
        return FoldedTensors(tensors, makers, _beside(header, scales, said))

    def pack(self, weight: Tensor, device: str) -> Tensor:
        """The weight with the largest number of each output as 448."""
        from sfumato_networks.stored.tensor import WeightTensor
        from sfumato_quant_bnb.float8_weight import packed_with_scales

        return WeightTensor(packed_with_scales(weight.detach().to(device)), weight.dtype)


def _scales(header: CheckpointHeader, said: Mapping[str, str]) -> dict[str, str]:
    """The name of the scale of every layer that has one and is read."""
    found = {}
    for name in header.tensors:
        layer, dot, ending = name.rpartition(".")
        if dot + ending not in _SCALES or said.get(layer, _FORMATS[0]) not in _FORMATS:
            continue
        weight = header.tensors.get(f"{layer}.weight")
        if weight is None:
            raise _wrong(header, name, "The weight that it scales is missing.")
        if weight.dtype not in _SCALED_TYPES or f"{layer}.weight_scale_2" in header.tensors:
            continue  # another form, which is told by what stays beside it
        scale = header.tensors[name]
        outputs = weight.shape[0] if weight.shape else 1
        if scale.dtype not in _SCALE_TYPES or prod(scale.shape) not in (1, outputs):
            shape = f"{list(scale.shape)} as {scale.dtype}"
            raise _wrong(
                header, name, f"It is {shape}, neither one number nor one for each of {outputs} outputs."
            )
        found[layer] = name
    return found


def _said(header: CheckpointHeader) -> dict[str, str]:
    """The form of every layer that a JSON text names, in the metadata or beside it."""
    said = _said_for_all(header)
    names = [name for name in header.tensors if name.endswith(_SAYS)]
    for name, text in zip(names, read_bytes(header, names, _MOST_BYTES), strict=True):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict) or not isinstance(fields.get("format"), str):
            raise _wrong(header, name, "It is no JSON object that names a format.")
        said[name.removesuffix(_SAYS)] = fields["format"]
    return said


def _said_for_all(header: CheckpointHeader) -> dict[str, str]:
    """What is said in the metadata, of layers by their whole names; nothing where that is of another kind."""
    try:
        layers = json.loads(header.metadata.get(_SAYS_FOR_ALL, "{}"))["layers"]
        forms = {layer: fields["format"] for layer, fields in layers.items()}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}
    return {layer: form for layer, form in forms.items() if isinstance(form, str)}


def _beside(header: CheckpointHeader, scales: Mapping[str, str], said: Mapping[str, str]) -> frozenset[str]:
    """What belongs to scaled layers and those said to be fp8 without a scale, and marks of a whole file."""
    layers = {*scales, *(layer for layer in said if _is_float8(header, layer, said[layer]))}
    own = {layer + ending for layer in layers for ending in (*_SCALES, *_UNUSED, _SAYS)}
    marks = {name for name in header.tensors if name.rpartition(".")[2] == _MARK}
    return frozenset((own | marks) & header.tensors.keys())


def _is_float8(header: CheckpointHeader, layer: str, form: str) -> bool:
    weight = header.tensors.get(f"{layer}.weight")
    return form in _FORMATS and weight is not None and weight.dtype in ("F8_E4M3", "F8_E5M2")


def _wrong(header: CheckpointHeader, name: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"'{header.path.name}' cannot be used: '{name}' is not as scaled fp8 has it.",
        why=why,
        hint="The file may be damaged: get it again, or ask who made it.",
    )
