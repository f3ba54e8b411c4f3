"""ComfyUI's sampling on the weights of a random UNet, from a checkout that is given by path."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tests.tiny_models.sd import TinySD
from torch import Tensor

from sfumato_networks.torchvision_operators import declare_where_missing


def import_comfyui(folder: Path) -> None:
    """Make its modules importable; it reads the command line while it is imported, and needs torchvision."""
    if find_spec("torchvision") is None:
        sys.modules.pop("torchvision", None)  # the package leaves it out, see its comment
    declare_where_missing()
    sys.path.insert(0, str(folder))
    given, sys.argv = sys.argv, ["main.py", "--cpu"]
    threads = torch.get_num_threads()
    logging.disable(logging.INFO)
    try:
        import comfy.options  # type: ignore[import-not-found]

        comfy.options.enable_args_parsing()
        import comfy.sample  # type: ignore[import-not-found]
    finally:
        sys.argv = given
        logging.disable(logging.NOTSET)
        torch.set_num_threads(threads)


def unet_sizes(tiny: TinySD) -> dict[str, Any]:
    """What makes its UNet of these sizes."""
    levels, blocks = len(tiny.channels), tiny.residual_blocks
    return {
        "image_size": 32,
        "in_channels": tiny.in_channels,
        "out_channels": 4,
        "model_channels": tiny.channels[0],
        "num_res_blocks": [blocks] * levels,
        "channel_mult": [width // tiny.channels[0] for width in tiny.channels],
        "transformer_depth": [depth for depth in tiny.depths for _ in range(blocks)],
        "transformer_depth_output": [depth for depth in tiny.depths for _ in range(blocks + 1)],
        "transformer_depth_middle": tiny.depths[-1],
        "use_linear_in_transformer": True,
        "context_dim": tiny.context_size,
        "adm_in_channels": tiny.label_size,
        "num_head_channels": 64,
        "use_temporal_attention": False,
        "num_classes": "sequential",
        "use_spatial_transformer": True,
        "legacy": False,
    }


def comfyui_model(tiny: TinySD, dtype: torch.dtype) -> Any:
    """A patcher around its SDXL of these sizes and weights."""
    import comfy.model_patcher  # type: ignore[import-not-found]
    import comfy.supported_models  # type: ignore[import-not-found]

    config = comfy.supported_models.SDXL(unet_sizes(tiny))
    config.set_inference_dtype(dtype, None)
    model = config.get_model({}, "")
    network, weights = model.diffusion_model, tiny.unet()
    network.load_state_dict({name: tensor.to(dtype) for name, tensor in weights.items()}, strict=True)
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, device, device)


def comfyui_run(folder: Path, case: Any, tiny: TinySD, cfg_scale: float) -> Callable[[], Tensor]:
    """All steps of a picture by its Euler; the latents are on the scale of the UNet, as all others' are."""
    import_comfyui(folder)
    import comfy.sample
    import comfy.samplers  # type: ignore[import-not-found]

    patcher = comfyui_model(tiny, case.positive.context.dtype)
    sampler, sigmas = comfy.samplers.sampler_object("euler"), torch.tensor(case.sigmas)
    size = {"width": case.pixels, "height": case.pixels}
    positive, negative = (
        [[each.context, {"pooled_output": each.pooled, **size}]] for each in (case.positive, case.negative)
    )
    scale = patcher.model.latent_format.scale_factor
    empty = torch.zeros(1, *case.shape)

    def run() -> Tensor:
        noise = case.noise().initial()
        with torch.inference_mode():
            found: Tensor = comfy.sample.sample_custom(
                patcher, noise, cfg_scale, sampler, sigmas, positive, negative, empty, disable_pbar=True
            )
        return found * scale

    return run
