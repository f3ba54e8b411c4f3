"""ComfyUI's loading of a UNet and its merging of LoRAs, from a checkout that is given by path.

It recognises whole published sizes alone, so that networks cut down are described to it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tests.tiny_models.sd import TinySD
from torch import Tensor, nn

from benchmarks.comfyui_sampling import import_comfyui, unet_sizes
from sfumato_models_flux.config import FluxConfig

UNET = "model.diffusion_model."


def comfyui_loader(file: Path, tiny: TinySD, dtype: str, checkout: Path) -> Callable[[], list[nn.Module]]:
    """Its UNet from a checkpoint, ready to sample; text encoders and autoencoder stay in the file."""
    import_comfyui(checkout)
    import comfy.supported_models  # type: ignore[import-not-found]
    import comfy.utils  # type: ignore[import-not-found]

    def load() -> list[nn.Module]:
        config = comfy.supported_models.SDXL(unet_sizes(tiny))
        config.set_inference_dtype(getattr(torch, dtype), None)
        weights = comfy.utils.load_torch_file(str(file))
        model = config.get_model(weights, UNET)
        model.load_model_weights(weights, UNET)
        put_in_memory(patcher_of(model))
        return [model.diffusion_model]

    return load


def patcher_of(model: Any) -> Any:
    import comfy.model_patcher  # type: ignore[import-not-found]

    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, device, device)


def put_in_memory(patcher: Any) -> None:
    import comfy.model_management  # type: ignore[import-not-found]

    comfy.model_management.load_models_gpu([patcher], force_full_load=True)


class ComfyUIFlux:
    """Its Flux transformer of these sizes, and LoRAs merged into it.

    Args:
        file: The transformer's weights in the original layout.
        loras: LoRA files, in the order of their weights.
    """

    def __init__(self, file: Path, config: FluxConfig, loras: list[Path], checkout: Path) -> None:
        import_comfyui(checkout)
        import comfy.supported_models
        import comfy.utils
        from comfy.ldm.flux.model import FluxParams  # type: ignore[import-not-found]

        sizes: dict[str, Any] = {
            "image_model": "flux",
            "in_channels": config.out_channels // 4,
            "out_channels": config.out_channels // 4,
            "patch_size": 2,
            "vec_in_dim": config.vector_size,
            "context_in_dim": config.context_size,
            "hidden_size": config.hidden_size,
            "mlp_ratio": config.mlp_ratio,
            "num_heads": config.heads,
            "depth": config.double_blocks,
            "depth_single_blocks": config.single_blocks,
            "axes_dim": list(config.axes),
            "theta": config.theta,
            "qkv_bias": True,
            "guidance_embed": config.guidance,
        }
        if "txt_ids_dims" in FluxParams.__dataclass_fields__:  # newer versions have positions of text, too
            sizes["txt_ids_dims"] = []
        described = comfy.supported_models.Flux(sizes)
        described.set_inference_dtype(torch.bfloat16, None)
        weights = comfy.utils.load_torch_file(str(file))
        model = described.get_model({}, "")
        model.load_model_weights(weights, "")
        self._network = model.to(torch.bfloat16).diffusion_model
        self._plain, self._loras = patcher_of(model), loras
        put_in_memory(self._plain)

    def apply(self, weights: tuple[float, ...]) -> None:
        import comfy.sd  # type: ignore[import-not-found]
        import comfy.utils

        patched = self._plain
        for file, weight in zip(self._loras, weights, strict=True):
            lora = comfy.utils.load_torch_file(str(file), safe_load=True)
            patched, _ = comfy.sd.load_lora_for_models(patched, None, lora, weight, weight)
        put_in_memory(patched)

    change = apply

    def velocity(self, tokens: Tensor, sigma: Tensor, context: Tensor, vector: Tensor) -> Tensor:
        """For packed latents [1, n, c] of a square picture, packed again."""
        side, channels = int(tokens.shape[1] ** 0.5), tokens.shape[2] // 4
        grid = tokens.reshape(1, side, side, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        out = self._network(grid.reshape(1, channels, 2 * side, 2 * side), sigma, context, vector)
        parts = out.reshape(1, channels, side, 2, side, 2).permute(0, 2, 4, 1, 3, 5)
        packed: Tensor = parts.reshape(tokens.shape)
        return packed
