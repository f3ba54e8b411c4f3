"""Flux transformers with random weights in any form, made on the device: ours and diffusers'.

Linear layers whose rows are whole blocks are quantised, all else is bfloat16, in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sfumato_models_flux.config import FluxConfig

GGUF = ("Q4_K", "Q8_0")
FORMS = ("bf16", *GGUF, "NF4", "fp8")
COMPUTED = torch.bfloat16
_BLOCKS: Mapping[str, tuple[int, int, tuple[int, ...]]] = {
    "Q4_K": (256, 144, (0, 2)),
    "Q8_0": (32, 34, (0,)),
}
"""Numbers and bytes of a block, and where its float16 scales lie."""
_LARGEST_BLOCK = 256
_ROWS_PACKED = 64


def random_numbers(shape: tuple[int, ...], device: str) -> Tensor:
    return torch.randn(shape, device=device, dtype=COMPUTED) * 0.02


def random_blocks(form: str, outputs: int, inputs: int, device: str) -> Tensor:
    """uint8 [outputs, bytes of a row]: random blocks with scales of about the size that weights have."""
    size, size_bytes, scales = _BLOCKS[form]
    raw = torch.randint(0, 256, (outputs * inputs // size, size_bytes), dtype=torch.uint8, device=device)
    for place in scales:
        halves = torch.rand(len(raw), 1, device=device).mul(1e-4).add(1e-5).half()
        raw[:, place : place + 2] = halves.view(torch.uint8)
    return raw.view(outputs, -1)


def our_network(form: str, config: FluxConfig, device: str) -> nn.Module:
    from sfumato_models_flux.transformer import FluxTransformer
    from sfumato_networks.weights import build_empty

    network = build_empty(lambda: FluxTransformer(config))
    for module in network.modules():
        if isinstance(module, nn.Linear) and _is_quantised(module):
            module.weight = nn.Parameter(_our_weight(form, module, device), requires_grad=False)
    return _filled(network, device)


def _is_quantised(layer: nn.Linear) -> bool:
    return layer.in_features % _LARGEST_BLOCK == 0


def _our_weight(form: str, layer: nn.Linear, device: str) -> Tensor:
    from sfumato_networks.stored.plain import PlainWeight
    from sfumato_networks.stored.tensor import WeightTensor
    from sfumato_quant_bnb.four_bit_weight import Blocks, FourBitWeight
    from sfumato_quant_gguf.weight import GgufWeight

    shape = layer.out_features, layer.in_features
    if form in GGUF:
        packed = random_blocks(form, *shape, device).flatten()
        return WeightTensor(GgufWeight(packed, form, shape), COMPUTED)
    if form == "NF4":
        packed, scales = _nf4(layer, device)
        return WeightTensor(FourBitWeight(packed.flatten(), [scales], Blocks("nf4"), shape), COMPUTED)
    plain = random_numbers(shape, device)
    if form == "fp8":
        return WeightTensor(PlainWeight(plain.to(torch.float8_e4m3fn)), COMPUTED)
    return plain


def peer_network(form: str, config: FluxConfig, device: str) -> nn.Module:
    """Diffusers', with its GGUF layers, bitsandbytes' NF4 layers, or fp8 weights cast layer by layer."""
    from diffusers import FluxTransformer2DModel

    with torch.device("meta"):
        network = FluxTransformer2DModel(
            patch_size=1,
            in_channels=config.in_channels,
            num_layers=config.double_blocks,
            num_single_layers=config.single_blocks,
            attention_head_dim=config.head_size,
            num_attention_heads=config.heads,
            joint_attention_dim=config.context_size,
            pooled_projection_dim=config.vector_size,
            guidance_embeds=config.guidance,
            axes_dims_rope=config.axes,
        )
    make = _peer_gguf(form) if form in GGUF else _peer_nf4 if form == "NF4" else None
    for name, module in list(network.named_modules()):
        if make is not None and isinstance(module, nn.Linear) and _is_quantised(module):
            network.set_submodule(name, make(module, device))
    _filled(network, device)
    if form == "fp8":
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=COMPUTED)
    return network


def _peer_gguf(form: str) -> Callable[[nn.Linear, str], nn.Module]:
    from diffusers.quantizers.gguf.utils import GGUFLinear, GGUFParameter
    from gguf import GGMLQuantizationType

    def make(layer: nn.Linear, device: str) -> nn.Module:
        made = GGUFLinear(layer.in_features, layer.out_features, layer.bias is not None, COMPUTED, "meta")
        packed = random_blocks(form, layer.out_features, layer.in_features, device)
        made.weight = GGUFParameter(packed, quant_type=GGMLQuantizationType[form])
        return made

    return make


def _peer_nf4(layer: nn.Linear, device: str) -> nn.Module:
    import bitsandbytes

    library: Any = bitsandbytes
    made: nn.Module = library.nn.Linear4bit(
        layer.in_features,
        layer.out_features,
        layer.bias is not None,
        COMPUTED,
        quant_type="nf4",
        device="meta",
    )
    packed, scales = _nf4(layer, device)
    made.quant_state = library.functional.QuantState(
        absmax=scales,
        shape=torch.Size((layer.out_features, layer.in_features)),
        code=library.functional.get_4bit_type("nf4", device=device),
        blocksize=64,
        quant_type="nf4",
        dtype=COMPUTED,
    )
    made.weight = library.nn.Params4bit(
        packed,
        requires_grad=False,
        quant_state=made.quant_state,
        quant_type="nf4",
        bnb_quantized=True,
        module=made,
    )
    return made


def _nf4(layer: nn.Linear, device: str) -> tuple[Tensor, Tensor]:
    """A weight in bitsandbytes' blocks of 64, and their scales: a few rows many times, as packing is slow."""
    import bitsandbytes.functional as library

    rows = math.gcd(layer.out_features, _ROWS_PACKED)
    numbers = random_numbers((rows, layer.in_features), device)
    packed, state = library.quantize_4bit(numbers, blocksize=64, quant_type="nf4")
    times = layer.out_features // rows
    return packed.repeat(times, 1), state.absmax.repeat(times)


def _filled(network: nn.Module, device: str) -> nn.Module:
    """With random numbers where there are none yet."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_meta:
                numbers = random_numbers(tuple(parameter.shape), device)
                setattr(module, name, nn.Parameter(numbers, requires_grad=False))
    return network.eval()
