"""Tiny upscaler networks, written as the files that people have."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from sfumato_networks.torchvision_operators import declare_where_missing

declare_where_missing()


def compact(scale: int = 2, channels: int = 3, seed: int = 0) -> torch.nn.Module:
    """Real-ESRGAN's compact network, of three layers: each pixel depends on three around it."""
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(seed)
    network = SRVGGNetCompact(
        num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=1, upscale=scale, act_type="prelu"
    )
    return network.eval().requires_grad_(False)


def write(network: torch.nn.Module, path: Path) -> Path:
    """As .safetensors, or pickled as its authors do: wrapped in 'params_ema'."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"params_ema": network.state_dict()}, path)
    return path


def picture(width: int = 40, height: int = 30, seed: int = 1) -> torch.Tensor:
    """Random colours [1, 3, height, width] in 0..1, smooth enough to be resampled."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, height // 4 + 1, width // 4 + 1, generator=generator)
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)
