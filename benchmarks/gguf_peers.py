"""How other programs dequantise GGUF's blocks: each gives a call for a weight, or None."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sfumato_quant_gguf.weight import GgufWeight

Peer = Callable[[GgufWeight], Callable[[], Any] | None]
"""None for types that it lacks."""


def gguf_package(weight: GgufWeight) -> Callable[[], Any]:
    """The package `gguf`, which always gives float32, in numpy."""
    import gguf

    packed, kind = rows_of(weight).numpy(), gguf.GGMLQuantizationType[weight.type_name]
    return lambda: torch.from_numpy(gguf.quants.dequantize(packed, kind))


def diffusers(weight: GgufWeight) -> Callable[[], Any] | None:
    """diffusers, in bfloat16."""
    import gguf
    from diffusers.quantizers.gguf import utils

    kind = gguf.GGMLQuantizationType[weight.type_name]
    if kind not in utils.SUPPORTED_GGUF_QUANT_TYPES:
        return None
    parameter = utils.GGUFParameter(rows_of(weight), quant_type=kind)
    return lambda: utils.dequantize_gguf_tensor(parameter).to(torch.bfloat16)


def comfyui_gguf(checkout: Path, in_target_type: bool) -> Peer:
    """ComfyUI-GGUF in bfloat16: by default through float16, or computing in the target's type, an option."""
    spec = importlib.util.spec_from_file_location("comfyui_gguf_dequant", checkout / "dequant.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def peer(weight: GgufWeight) -> Callable[[], Any] | None:
        import gguf

        kind, packed = gguf.GGMLQuantizationType[weight.type_name], rows_of(weight)
        if kind not in module.dequantize_functions:
            return None
        packed.tensor_type, packed.tensor_shape = kind, weight.shape  # type: ignore[attr-defined]
        option = "target" if in_target_type else None
        return lambda: module.dequantize_tensor(packed, torch.bfloat16, option)

    return peer


def forge(checkout: Path) -> Peer:
    """Forge in bfloat16, its re-ordering of blocks at load not counted; its package `gguf` is its own."""
    own = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == "gguf"}
    sys.path.insert(0, str(checkout / "packages_3rdparty"))
    import gguf as package

    sys.path.pop(0)
    for name in [name for name in sys.modules if name.partition(".")[0] == "gguf"]:
        del sys.modules[name]
    sys.modules.update(own)

    def peer(weight: GgufWeight) -> Callable[[], Any] | None:
        kind: Any = getattr(package, weight.type_name)
        if "dequantize_blocks_pytorch" not in vars(kind):
            return None

        class Parameter(torch.nn.Parameter):
            shape = weight.shape

        parameter: Any = Parameter(rows_of(weight).clone(), requires_grad=False)
        parameter.gguf_cls, parameter.computation_dtype = kind, torch.bfloat16
        parameter.baked, parameter.real_shape = False, weight.shape
        kind.bake(parameter)
        return lambda: kind.dequantize_pytorch(parameter)

    return peer


def rows_of(weight: GgufWeight) -> torch.Tensor:
    """The blocks as peers hold them: [outputs, bytes of a row]."""
    return weight.packed.reshape(weight.shape[0], -1)
