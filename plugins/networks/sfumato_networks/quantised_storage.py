"""Quantised weights that no plugin has unpacked, told by the tensors that lie beside them. Imports no torch.

Their own shapes and types say little: packed ones look damaged, and float8 ones read without their scales
would silently be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sfumato.errors import CheckpointError

_READS_BNB = "sfumato-quant-bnb"


@dataclass(frozen=True)
class StorageForm:
    """A way to store quantised weights.

    Attributes:
        ending: How the name of a tensor ends that gives it away.
        label: In words, as it stands before "weights".
        plugin: The distribution that reads it; empty where none does.
    """

    ending: str
    label: str
    plugin: str = ""

    @property
    def reader(self) -> str:
        """As it follows "weights, which"."""
        return f"the plugin {self.plugin} reads" if self.plugin else "no plugin reads"


_FORMS = (  # the more telling ones first
    StorageForm(".quant_state.bitsandbytes__nf4", "bitsandbytes NF4", _READS_BNB),
    StorageForm(".quant_state.bitsandbytes__fp4", "bitsandbytes FP4", _READS_BNB),
    StorageForm(".absmax", "bitsandbytes 4-bit"),  # without what says their shape
    StorageForm(".SCB", "bitsandbytes int8", _READS_BNB),
    StorageForm(".wscales", "Nunchaku SVDQuant"),
    StorageForm(".qweight", "packed (GPTQ or AWQ)"),
    StorageForm(".weight_scale_2", "NVFP4"),
    StorageForm(".scale_weight", "scaled float8", _READS_BNB),
    StorageForm("scaled_fp8", "scaled float8", _READS_BNB),
    StorageForm(".comfy_quant", "ComfyUI's quantised"),
    StorageForm(".weight_scale_inv", "float8 (a scale for each block of numbers)"),
    StorageForm(".weight_scale", "scaled float8", _READS_BNB),
)


def quantisation_of(names: Iterable[str]) -> StorageForm | None:
    """How weights of these tensor names are quantised; None when they are plain numbers or unpacked."""
    names = list(names)
    for form in _FORMS:
        if any(name.endswith(form.ending) for name in names):
            return form
    return None


def refuse_quantised(names: Iterable[str], where: str) -> None:
    """Raises `CheckpointError` naming the form when tensors of these names, in the file ``where``, are."""
    form = quantisation_of(names)
    if form is None:
        return
    install = (
        f"Have it installed (pip install {form.plugin}) and switched on; if it is, get"
        if form.plugin
        else "Get"
    )
    raise CheckpointError(
        f"'{where}' holds {form.label} weights, which {form.reader}.",
        why="" if form.plugin else "They are packed for other programs, or for one kind of GPU.",
        hint=f"{install} the file as bf16, fp16 or fp8, or quantised as GGUF, NF4 or scaled fp8.",
    )
