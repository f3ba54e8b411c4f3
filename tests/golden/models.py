"""The tiny models of the matrix in one model folder, with a LoRA for each, a picture and a mask."""

from __future__ import annotations

import zlib
from pathlib import Path

import torch
from PIL import Image

from sfumato_networks.safetensors_header import read_header

from ..tiny_models import TinyFlux, sd, sd3, write_parts, write_transformer
from ..tiny_models.files import save, write_tokenizers
from ..tiny_models.sd import write_sd_tokenizer

SIDE = 64
"""Width and height of the matrix's pictures."""
RANK = 4


def write_models(folder: Path) -> None:
    """sd15, sd15_inpaint, sd21_v, sdxl, sdxl_v, sdxl_refiner, sd3 and flux, and loras named after them."""
    sd.write_sd15(folder)
    sd.write_sd15(folder, inpaint=True, name="sd15_inpaint")
    sd.write_sd21(folder, v=True, name="sd21_v")
    sd.write_sdxl(folder)
    sd.write_sdxl(folder, v=True, name="sdxl_v")
    sd.write_refiner(folder)
    sd3.write_sd3(sd3.SD35_MEDIUM, folder / "checkpoints" / "sd3.safetensors")
    flux = TinyFlux()
    write_transformer(flux, folder / "diffusion_models" / "flux.safetensors")
    write_parts(flux, folder)
    write_tokenizers(folder / "tokenizers")
    write_sd_tokenizer(folder / "tokenizers" / "clip_l")
    for name, marks in LORA_LAYERS.items():
        found = list(folder.glob(f"*/{name}.safetensors"))
        write_lora(found[0], marks, folder / "loras" / f"{name}_lora.safetensors")


LORA_LAYERS = {
    "sd15": ("attn1.to_q.weight", "attn2.to_v.weight", "in_layers.2.weight"),
    "sdxl": ("attn1.to_q.weight", "ff.net.2.weight"),
    "sd3": ("x_block.attn.qkv.weight",),
    "flux": ("img_attn.qkv.weight", "linear2.weight"),
}
"""By model, the endings of the layers that its LoRA changes."""


def write_lora(model: Path, endings: tuple[str, ...], path: Path) -> Path:
    """A random LoRA in sd-scripts' naming for these layers of a checkpoint's diffusion network."""
    tensors: dict[str, torch.Tensor] = {}
    for name, info in read_header(model).tensors.items():
        if not name.endswith(endings):
            continue
        layer = name.removeprefix("model.diffusion_model.").removesuffix(".weight").replace(".", "_")
        outputs, inputs, *kernel = info.shape
        generator = torch.Generator().manual_seed(zlib.crc32(layer.encode()))
        down = torch.randn((RANK, inputs, *kernel), generator=generator)
        up = torch.randn((outputs, RANK, *(1 for _ in kernel)), generator=generator)
        tensors |= {
            f"lora_unet_{layer}.lora_down.weight": down * 0.1,
            f"lora_unet_{layer}.lora_up.weight": up * 0.1,
            f"lora_unet_{layer}.alpha": torch.tensor(float(RANK)),
        }
    return save(path, tensors)


def write_pictures(folder: Path) -> None:
    """picture.png, four colours; mask.png, white on the right."""
    picture = Image.new("RGB", (SIDE, SIDE), (180, 60, 40))
    picture.paste((40, 90, 200), (SIDE // 2, 0, SIDE, SIDE))
    picture.paste((230, 220, 120), (0, SIDE // 2, SIDE // 2, SIDE))
    picture.save(folder / "picture.png")
    mask = Image.new("L", (SIDE, SIDE), 0)
    mask.paste(255, (SIDE // 2, 0, SIDE, SIDE))
    mask.save(folder / "mask.png")
