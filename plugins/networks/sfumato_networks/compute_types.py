"""Which number type a part computes in, given what it is stored in and where it runs."""

from __future__ import annotations

import torch

from sfumato.errors import BadInput

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_MORE_EXACT = ("F64", "F32", "F16", "")
"""Stored types with more digits than bfloat16, and what is not known."""

LARGE = 1_000_000_000
"""Weights of which a second, larger copy is too much to make unasked."""


def compute_type(
    wanted: str, *, stored: str, parameters: int, device: str, fits_float16: bool = False
) -> torch.dtype:
    """The type to compute in.

    On a CPU weights stored as bfloat16 stay so where the processor computes in it: they need no copy.
    Quantised ones and those of 8 bits compute in it there, too: it has all the digits that they have left.
    All else becomes float32, or bfloat16 where that would be too large. On other devices float32 stays, and
    all else becomes bfloat16: signals in T5, Flux and the autoencoders of Flux and SDXL leave the range of
    float16. What stays in it computes in it there, in any type but bfloat16 that it may be stored in, as all
    programs for Stable Diffusion do: it is the more exact of the two halves, and faster on older cards.

    Args:
        wanted: "auto" or a name in `DTYPES`, which is then taken.
        stored: The stored type as the file format spells it ("BF16", "Q4_K").
        parameters: Number of weights.
        device: A torch device name.
        fits_float16: Whether signals stay within 65504, the largest number of float16.

    Raises:
        BadInput: float16 on a CPU, or an unknown type.
    """
    on_cpu = torch.device(device).type == "cpu"
    if wanted != "auto":
        return _checked(wanted, on_cpu)
    if on_cpu:
        fits = stored not in _MORE_EXACT and cpu_computes_bfloat16()
        return torch.bfloat16 if fits or parameters > LARGE else torch.float32
    if fits_float16 and stored != "BF16":
        return torch.float16
    return torch.float32 if stored == "F32" else torch.bfloat16


def cpu_computes_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16; without that it is slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _checked(wanted: str, on_cpu: bool) -> torch.dtype:
    if wanted not in DTYPES:
        raise BadInput(
            f"There is no compute type '{wanted}'.", hint=f"Choose one of: auto, {', '.join(DTYPES)}."
        )
    if wanted == "float16" and on_cpu:
        raise BadInput(
            "float16 is not computed on a CPU.",
            why="Processors have no fast path for it: it is hundreds of times slower than bfloat16.",
            hint="Choose auto, bfloat16 or float32.",
        )
    return DTYPES[wanted]
