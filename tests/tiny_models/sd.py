"""Tiny random Stable Diffusion models with UNets: sizes, and tensors in the layouts of real checkpoints.

Everything that detection and loading read off shapes is as in real models (8 heads in 1.x, heads of 64
elsewhere, how SDXL's vector is made up); only widths and depths are tiny.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato_models_sd import diffusers_keys
from sfumato_models_sd.config import Block, LayerSizes, UNetConfig, expected_shapes

from .files import save
from .flux import random_tensors
from .tokenizers import CLIP_LENGTH, clip_vocabulary, write_clip_tokenizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sfumato_networks.autoencoder import AutoencoderConfig

CLIP_POSITIONS = 77
SIZE_FEATURES = 256
"""Features of each number in SDXL's vector."""


@dataclass(frozen=True)
class TinyText:
    """A text encoder; ``projection`` 0 means that it has none."""

    width: int = 64
    layers: int = 2
    mlp: int = 128
    head_size: int = 64
    projection: int = 0


@dataclass(frozen=True)
class TinySD:
    """Sizes of a tiny model; the same sizes and seed make the same tensors everywhere.

    ``clip`` is CLIP-L, ``open_clip`` SD 2's or SDXL's second encoder; ``depths`` are the transformer blocks
    of each level, 0 for none; ``numbers`` is how many sizes and scores SDXL's vector holds.
    """

    variant: str
    clip: TinyText | None = None
    open_clip: TinyText | None = None
    channels: tuple[int, ...] = (32, 64)
    depths: tuple[int, ...] = (1, 1)
    residual_blocks: int = 1
    linear_projection: bool = False
    numbers: int = 0
    in_channels: int = 4
    latent_scale: float = 0.18215
    prediction: str = "epsilon"
    zero_snr: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    seed: int = 0

    @property
    def is_xl(self) -> bool:
        return self.numbers > 0

    @property
    def context_size(self) -> int:
        return sum(text.width for text in (self.clip, self.open_clip) if text)

    @property
    def label_size(self) -> int:
        if self.open_clip is None or not self.is_xl:
            return 0
        return self.open_clip.projection + self.numbers * SIZE_FEATURES

    @property
    def unet_config(self) -> UNetConfig:
        inputs, middle, outputs = blocks_of(self)
        return UNetConfig(
            in_channels=self.in_channels,
            out_channels=4,
            model_channels=self.channels[0],
            context_size=self.context_size,
            label_size=self.label_size,
            heads=0 if self.linear_projection else 8,
            linear_projection=self.linear_projection,
            input_blocks=inputs,
            middle_block=middle,
            output_blocks=outputs,
        )

    @property
    def autoencoder_config(self) -> AutoencoderConfig:
        from sfumato_networks.autoencoder import AutoencoderConfig

        return AutoencoderConfig(
            base_channels=16,
            channel_multipliers=(1, 2, 2, 2),
            blocks_per_level=1,
            latent_channels=4,
            norm_groups=8,
            quant_convolutions=True,
        )

    def unet(self) -> dict[str, Tensor]:
        """LDM's names, without a prefix."""
        return random_tensors(expected_shapes(self.unet_config), self.seed)

    def autoencoder(self) -> dict[str, Tensor]:
        """LDM's names."""
        import torch

        from sfumato_networks.autoencoder import Autoencoder

        with torch.device("meta"):
            state = Autoencoder(self.autoencoder_config).state_dict()
        return random_tensors({name: tuple(tensor.shape) for name, tensor in state.items()}, self.seed)

    def clip_text(self) -> dict[str, Tensor]:
        """CLIP-L under transformers' names ("text_model.…")."""
        assert self.clip is not None
        return random_tensors(transformers_shapes(self.clip), self.seed)

    def open_clip_text(self) -> dict[str, Tensor]:
        """The other encoder under OpenCLIP's names ("transformer.resblocks.…")."""
        assert self.open_clip is not None
        return random_tensors(open_clip_shapes(self.open_clip), self.seed + 1)

    def tensors(self, *, vae: bool = True) -> dict[str, Tensor]:
        """A whole single file, as its makers published it."""
        if not self.is_xl:
            texts = {"cond_stage_model.transformer.": self.clip and self.clip_text()}
            texts["cond_stage_model.model."] = self.open_clip and self.open_clip_text()
        elif self.clip:
            texts = {"conditioner.embedders.0.transformer.": self.clip_text()}
            texts["conditioner.embedders.1.model."] = self.open_clip_text()
        else:
            texts = {"conditioner.embedders.0.model.": self.open_clip_text()}
        parts = {"model.diffusion_model.": self.unet(), **texts}
        if vae:
            parts["first_stage_model."] = self.autoencoder()
        return {
            prefix + name: tensor for prefix, part in parts.items() for name, tensor in (part or {}).items()
        }


def blocks_of(tiny: TinySD) -> tuple[tuple[Block, ...], Block, tuple[Block, ...]]:
    """The blocks as LDM builds them from widths and depths."""
    inputs: list[Block] = [(LayerSizes("convolution", tiny.in_channels, tiny.channels[0]),)]
    skipped, last = [tiny.channels[0]], len(tiny.channels) - 1
    now = tiny.channels[0]

    def block(channels_in: int, channels_out: int, depth: int) -> Block:
        layers = [LayerSizes("residual", channels_in, channels_out)]
        if depth:
            layers.append(LayerSizes("transformer", channels_out, channels_out, depth))
        return tuple(layers)

    for level, (width, depth) in enumerate(zip(tiny.channels, tiny.depths, strict=True)):
        for _ in range(tiny.residual_blocks):
            inputs.append(block(now, width, depth))
            now = width
            skipped.append(now)
        if level < last:
            inputs.append((LayerSizes("downsample", now, now),))
            skipped.append(now)
    # SDXL's refiner has transformers in the middle, though none at the last level.
    depth = tiny.depths[-1] or max(tiny.depths)
    middle = (*block(now, now, depth), LayerSizes("residual", now, now))
    outputs: list[Block] = []
    for level in range(last, -1, -1):
        width = tiny.channels[level]
        for number in range(tiny.residual_blocks + 1):
            layers = block(now + skipped.pop(), width, tiny.depths[level])
            now = width
            if level and number == tiny.residual_blocks:
                layers = (*layers, LayerSizes("upsample", now, now))
            outputs.append(layers)
    return tuple(inputs), middle, tuple(outputs)


def transformers_shapes(text: TinyText) -> dict[str, tuple[int, ...]]:
    """A text encoder's tensors under the names of transformers."""
    w, outer = text.width, "text_model."
    shapes: dict[str, tuple[int, ...]] = {
        f"{outer}embeddings.token_embedding.weight": (len(clip_vocabulary()), w),
        f"{outer}embeddings.position_embedding.weight": (CLIP_POSITIONS, w),
        f"{outer}final_layer_norm.weight": (w,),
        f"{outer}final_layer_norm.bias": (w,),
    }
    for number in range(text.layers):
        layer = f"{outer}encoder.layers.{number}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"{layer}self_attn.{name}.weight"] = (w, w)
            shapes[f"{layer}self_attn.{name}.bias"] = (w,)
        for name, rows, columns in (("fc1", text.mlp, w), ("fc2", w, text.mlp)):
            shapes[f"{layer}mlp.{name}.weight"] = (rows, columns)
            shapes[f"{layer}mlp.{name}.bias"] = (rows,)
        for name in ("layer_norm1", "layer_norm2"):
            shapes[f"{layer}{name}.weight"] = shapes[f"{layer}{name}.bias"] = (w,)
    if text.projection:
        shapes["text_projection.weight"] = (text.projection, w)
    return shapes


def open_clip_shapes(text: TinyText) -> dict[str, tuple[int, ...]]:
    """A text encoder's tensors under the names of OpenCLIP, which keeps q, k and v in one matrix."""
    w = text.width
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedding.weight": (len(clip_vocabulary()), w),
        "positional_embedding": (CLIP_POSITIONS, w),
        "ln_final.weight": (w,),
        "ln_final.bias": (w,),
        "text_projection": (w, text.projection or w),
        "logit_scale": (),
    }
    for number in range(text.layers):
        layer = f"transformer.resblocks.{number}."
        shapes[f"{layer}attn.in_proj_weight"] = (3 * w, w)
        shapes[f"{layer}attn.in_proj_bias"] = (3 * w,)
        for name, rows, columns in (
            ("attn.out_proj", w, w),
            ("mlp.c_fc", text.mlp, w),
            ("mlp.c_proj", w, text.mlp),
        ):
            shapes[f"{layer}{name}.weight"] = (rows, columns)
            shapes[f"{layer}{name}.bias"] = (rows,)
        for name in ("ln_1", "ln_2"):
            shapes[f"{layer}{name}.weight"] = shapes[f"{layer}{name}.bias"] = (w,)
    return shapes


def from_open_clip(tensors: dict[str, Tensor], layers: int, *, projection: bool = True) -> dict[str, Tensor]:
    """The first ``layers`` of an OpenCLIP encoder under the names of transformers."""
    outer = "text_model."
    renamed = {
        f"{outer}embeddings.token_embedding.weight": tensors["token_embedding.weight"],
        f"{outer}embeddings.position_embedding.weight": tensors["positional_embedding"],
        f"{outer}final_layer_norm.weight": tensors["ln_final.weight"],
        f"{outer}final_layer_norm.bias": tensors["ln_final.bias"],
    }
    for number in range(layers):
        old, new = f"transformer.resblocks.{number}.", f"{outer}encoder.layers.{number}."
        for kind in ("weight", "bias"):
            pieces = tensors[f"{old}attn.in_proj_{kind}"].chunk(3)
            for name, piece in zip(("q_proj", "k_proj", "v_proj"), pieces, strict=True):
                renamed[f"{new}self_attn.{name}.{kind}"] = piece
            names = {"attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
            names |= {"ln_1": "layer_norm1", "ln_2": "layer_norm2"}
            for theirs, ours in names.items():
                renamed[f"{new}{ours}.{kind}"] = tensors[f"{old}{theirs}.{kind}"]
    if projection:
        renamed["text_projection.weight"] = tensors["text_projection"].T
    return renamed


_CLIP_G = TinyText(width=128, layers=3, projection=128)
SD15 = TinySD("sd15", clip=TinyText())
SD15_INPAINT = replace(SD15, in_channels=9)
SD21 = TinySD(
    "sd21",
    open_clip=TinyText(layers=3),
    linear_projection=True,
    channels=(64, 64),
    metadata={"modelspec.prediction_type": "epsilon"},
)
SD21_V = replace(SD21, prediction="v_prediction", metadata={"modelspec.prediction_type": "v"})
SD21_INPAINT = replace(SD21, in_channels=9)
SDXL = TinySD(
    "sdxl",
    clip=TinyText(layers=3),
    open_clip=_CLIP_G,
    linear_projection=True,
    numbers=6,
    channels=(32, 64),
    depths=(0, 2),
    latent_scale=0.13025,
)
SDXL_INPAINT = replace(SDXL, in_channels=9)
SDXL_V = replace(SDXL, prediction="v_prediction", zero_snr=True)
REFINER = replace(SDXL, variant="refiner", clip=None, numbers=5, channels=(32, 64, 64), depths=(0, 2, 0))


def write_single_file(
    tiny: TinySD,
    folder: Path,
    name: str,
    dtype: torch.dtype | None = None,
    *,
    vae: bool = True,
    tokenizer: bool = True,
    inside: str = "checkpoints",
) -> Path:
    """``inside``/``name``.safetensors, with the tokenizer in ``folder``/tokenizers/clip_l."""
    import torch

    tensors = tiny.tensors(vae=vae)
    if tiny.zero_snr:
        tensors |= {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}
    if tokenizer:
        write_sd_tokenizer(folder / "tokenizers" / "clip_l")
    return save(folder / inside / f"{name}.safetensors", tensors, dtype, tiny.metadata or None)


def write_sd15(
    folder: Path, dtype: torch.dtype | None = None, *, inpaint: bool = False, **given: Any
) -> Path:
    """Stable Diffusion 1.5 in LDM's layout."""
    return write_single_file(
        SD15_INPAINT if inpaint else SD15, folder, given.pop("name", "sd15"), dtype, **given
    )


def write_sd21(
    folder: Path, dtype: torch.dtype | None = None, *, v: bool = False, inpaint: bool = False, **given: Any
) -> Path:
    """Stable Diffusion 2.1 in LDM's layout, its prediction told by the metadata."""
    tiny = SD21_INPAINT if inpaint else SD21_V if v else SD21
    return write_single_file(tiny, folder, given.pop("name", "sd21"), dtype, **given)


def write_sdxl(
    folder: Path, dtype: torch.dtype | None = None, *, v: bool = False, inpaint: bool = False, **given: Any
) -> Path:
    """SDXL base in SGM's layout; with ``v`` it predicts v up to zero terminal SNR, as NoobAI does."""
    tiny = SDXL_INPAINT if inpaint else SDXL_V if v else SDXL
    return write_single_file(tiny, folder, given.pop("name", "sdxl"), dtype, **given)


def write_refiner(folder: Path, dtype: torch.dtype | None = None, **given: Any) -> Path:
    """SDXL's refiner in SGM's layout."""
    return write_single_file(REFINER, folder, given.pop("name", "sdxl_refiner"), dtype, **given)


def write_vae(tiny: TinySD, folder: Path, name: str = "vae", dtype: torch.dtype | None = None) -> Path:
    """The autoencoder alone, in ``folder``/vae."""
    return save(folder / "vae" / f"{name}.safetensors", tiny.autoencoder(), dtype)


def write_sd_tokenizer(folder: Path, pad: str | None = None) -> None:
    """CLIP's tokenizer, for texts of 77 tokens."""
    write_clip_tokenizer(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings |= {"model_max_length": CLIP_POSITIONS} | ({"pad_token": pad} if pad else {})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert CLIP_LENGTH < CLIP_POSITIONS


def write_folder(tiny: TinySD, folder: Path, dtype: torch.dtype | None = None) -> Path:
    """The same model as a diffusers folder, with configs as diffusers writes them."""
    from . import sd_folder

    return sd_folder.write(tiny, folder, dtype)


def diffusers_autoencoder(tiny: TinySD) -> dict[str, Tensor]:
    """The autoencoder's tensors under diffusers' names, attention's convolutions as matrices."""
    tensors, levels = {}, len(tiny.autoencoder_config.channel_multipliers)
    for name, tensor in tiny.autoencoder().items():
        renamed = re.sub(
            r"^(encoder\.down|decoder\.up)\.(\d+)", lambda match: _diffusers_level(match, levels), name
        )
        for ours, theirs in _AUTOENCODER_NAMES:
            renamed = re.sub(ours, theirs, renamed)
        tensors[renamed] = tensor[:, :, 0, 0] if ".attentions." in renamed and tensor.ndim == 4 else tensor
    return tensors


def _diffusers_level(match: re.Match[str], levels: int) -> str:
    if match[1] == "encoder.down":
        return f"encoder.down_blocks.{match[2]}"
    return f"decoder.up_blocks.{levels - 1 - int(match[2])}"


_AUTOENCODER_NAMES = (
    (r"(_blocks\.\d+)\.block\.", r"\1.resnets."),
    (r"\.downsample\.", ".downsamplers.0."),
    (r"\.upsample\.", ".upsamplers.0."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.norm_out\.", ".conv_norm_out."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.norm\.", ".mid_block.attentions.0.group_norm."),
    (r"\.mid\.attn_1\.proj_out\.", ".mid_block.attentions.0.to_out.0."),
    (r"\.mid\.attn_1\.([qkv])\.", r".mid_block.attentions.0.to_\1."),
)


def diffusers_unet(tiny: TinySD) -> dict[str, Tensor]:
    """The UNet's tensors under diffusers' names."""
    names = diffusers_keys.diffusers_names(tiny.unet_config)
    return {names[name]: tensor for name, tensor in tiny.unet().items()}
