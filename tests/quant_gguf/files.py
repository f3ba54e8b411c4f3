"""GGUF files as other programs write them, by the gguf package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Finish = Callable[[gguf.GGUFWriter], None]


def write_gguf(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    architecture: str = "flux",
    quantised: str = "Q8_0",
    plain: str = "F32",
    vectors: bool = False,
    finish: Finish | None = None,
) -> Path:
    """Matrices whose rows are whole blocks quantised, the rest plain; ``finish`` may add metadata.

    With ``vectors`` biases and norms are quantised like matrices.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    for name, tensor in tensors.items():
        add(writer, name, tensor, chosen_type(tensor, quantised, plain, vectors))
    if finish is not None:
        finish(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def chosen_type(tensor: Tensor, quantised: str, plain: str, vectors: bool = False) -> str:
    """The wished type where it can be had, as writers of real files choose."""
    block_size, _ = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[quantised]]
    whole = (vectors or tensor.ndim > 1) and tensor.shape[-1] % block_size == 0
    return quantised if whole else plain


def add(writer: gguf.GGUFWriter, name: str, tensor: Tensor, type_name: str) -> None:
    """A tensor in that type."""
    kind = gguf.GGMLQuantizationType[type_name]
    writer.add_tensor(name, packed(tensor, type_name), raw_dtype=kind)


def packed(tensor: Tensor, type_name: str) -> npt.NDArray[Any]:
    """In that type, by the gguf package, or by our own writer where that package only reads."""
    from sfumato_quant_gguf.quantisers.quantise import quantise

    numbers = np.ascontiguousarray(tensor.float().numpy())
    try:
        return gguf.quants.quantize(numbers, gguf.GGMLQuantizationType[type_name])
    except NotImplementedError:
        return quantise(tensor, type_name).numpy().reshape(*tensor.shape[:-1], -1)


def dequantised(tensor: Tensor, type_name: str) -> Tensor:
    """What is left of a tensor that was stored in that type, as the gguf package reads it."""
    import torch

    kind = gguf.GGMLQuantizationType[type_name]
    return torch.from_numpy(
        gguf.quants.dequantize(packed(tensor, type_name), kind).reshape(tensor.shape).copy()
    )
