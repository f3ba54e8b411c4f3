"""Whether bitsandbytes works here, for `sfumato doctor`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from sfumato.checks import CheckResult

if TYPE_CHECKING:
    from types import ModuleType

    from sfumato.studio import Studio

_LABEL = "bitsandbytes"


def check_bitsandbytes(studio: Studio) -> list[CheckResult]:
    """Packs a few numbers and unpacks them, on the processor and on a GPU that torch knows."""
    from sfumato_quant_bnb.installed_library import GET, bitsandbytes

    if find_spec("bitsandbytes") is None:
        detail = "not installed: NF4 and FP4 files are read without it, more slowly, and none is made"
        return [CheckResult(label=_LABEL, detail=detail, hint=f"To have it: {GET}")]
    library = bitsandbytes()
    if library is None:
        return [
            CheckResult(
                label=_LABEL,
                state="warning",
                detail="installed, but does not work on this machine; torch takes its place",
                hint="'python -m bitsandbytes' says why; or remove it.",
            )
        ]
    return [_tried(library, device) for device in _devices()]


def _devices() -> list[str]:
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _tried(library: ModuleType, device: str) -> CheckResult:
    import torch

    from sfumato_quant_bnb.four_bit_weight import packed

    label = f"{_LABEL} {library.__version__} on {device}"
    numbers = torch.linspace(-1, 1, 4096, device=device).view(32, 128)
    try:
        weight = packed(numbers, "nf4", library)
        error = (weight.linear(torch.eye(128, device=device), None) - numbers.T).abs().max().item()
    except Exception as failure:  # whatever its kernels or the driver raise
        why = f"{type(failure).__name__}: {failure}"
        return CheckResult(
            label=label, state="warning", detail=why, hint="'python -m bitsandbytes' says more."
        )
    if not error < 0.2:
        why = f"packed numbers come back wrong by {error:.2g}"
        return CheckResult(label=label, state="problem", detail=why, hint="Install another version of it.")
    return CheckResult(label=label, detail="packs and multiplies")
