"""Quantised weights, told by the tensors that lie beside them. Imports no torch: detection uses it.

Their own shapes and types say little: packed ones look damaged, and float8 ones read without their scales
would silently be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

from sfumato.errors import CheckpointError

_MARKS = (  # how a tensor's name ends, and what it gives away; the more telling ones first
    (".quant_state.bitsandbytes__nf4", "bitsandbytes NF4"),
    (".quant_state.bitsandbytes__fp4", "bitsandbytes FP4"),
    (".absmax", "bitsandbytes 4-bit"),
    (".SCB", "bitsandbytes int8"),
    (".wscales", "Nunchaku SVDQuant"),
    (".qweight", "packed (GPTQ or AWQ)"),
    (".weight_scale_2", "NVFP4"),
    (".comfy_quant", "ComfyUI's quantised"),
    (".scale_weight", "scaled float8"),
    (".weight_scale", "scaled float8"),
    ("scaled_fp8", "scaled float8"),
)


def quantisation_of(names: Iterable[str]) -> str | None:
    """How weights of these tensor names are quantised, in words; None when they are plain numbers."""
    names = list(names)
    for ending, form in _MARKS:
        if any(name.endswith(ending) for name in names):
            return form
    return None


def refuse_quantised(names: Iterable[str], where: str) -> None:
    """Raises `CheckpointError` naming the form when tensors of these names, in the file ``where``, are."""
    form = quantisation_of(names)
    if form is not None:
        raise CheckpointError(
            f"'{where}' holds {form} weights, which are not read yet.",
            hint="Get it with plain weights: as bf16, fp16 or plain fp8 (fp8_e4m3fn).",
        )
