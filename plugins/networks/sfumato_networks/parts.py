"""Parts that model families share - autoencoders and text encoders - recognised in any checkpoint.

Names and shapes alone decide, wherever in the file a part lies and whatever stands before its names ("vae.",
"first_stage_model.", "text_encoders.clip_l.transformer.", "text_encoder_2/" ...). Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from sfumato.models import CheckpointHeader, PartInfo, TensorInfo
from sfumato_networks import diffusers_keys

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]

AUTOENCODER = "autoencoder"
CLIP_TEXT = "clip_text"  # OpenAI's CLIP-L
CLIP_G_TEXT = "clip_g_text"  # OpenCLIP's ViT-bigG
OPEN_CLIP_TEXT = "open_clip_text"  # OpenCLIP's ViT-H
CLIP_KINDS = (CLIP_TEXT, CLIP_G_TEXT, OPEN_CLIP_TEXT)
T5_ENCODER = "t5_encoder"

_CLIP_TOKENS = "embeddings.token_embedding.weight"
_OPEN_CLIP_TOKENS, _OPEN_CLIP_LAYER = "token_embedding.weight", "transformer.resblocks.0.ln_1.weight"
_OPEN_CLIP_PROJECTION = "text_projection"
_RENAMED_PROJECTION = "text_model.text_projection"  # stable-diffusion.cpp, whatever the file had it from
_FROM_OPEN_CLIP = ("cond_stage_model.", "conditioner.")
_CLIP_WIDTHS = {768: CLIP_TEXT, 1024: OPEN_CLIP_TEXT, 1280: CLIP_G_TEXT}
_CLIP_G_PLACES = ("clip_g.", "conditioner.embedders.1.", "cond_stage_model.1.", "text_encoder_2/")
_OPEN_CLIP_PLACES = ("clip_h.", "cond_stage_model.model.")
_T5_BIAS = "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight"
_DECODERS = ("decoder.up.0.block.0.conv1.weight", "decoder.up_blocks.0.resnets.0.conv1.weight")


@dataclass(frozen=True)
class Part:
    """A part found in a checkpoint.

    Attributes:
        kind: `AUTOENCODER`, `T5_ENCODER` or one of `CLIP_KINDS`.
        prefix: What its tensor names begin with in the checkpoint.
        header: The checkpoint it lies in.
    """

    kind: str
    prefix: str
    header: CheckpointHeader

    @cached_property
    def stored(self) -> dict[str, TensorInfo]:
        """Its tensors, the prefix taken off their names."""
        return under(self.prefix, self.header.tensors)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shapes under our networks' names: LDM's for autoencoders, OpenCLIP's or else transformers' for text
        encoders."""
        shapes = {name: info.shape for name, info in self.stored.items()}
        if self.kind == AUTOENCODER:
            return diffusers_keys.original_shapes(shapes)
        return {
            self._own_name(name): shape[::-1] if self._is_turned(name) else shape
            for name, shape in shapes.items()
        }

    def tensors(self, opened: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Its tensors under the names of our networks, taken from the opened checkpoint."""
        tensors = {name: opened[self.prefix + name] for name in self.stored}
        if self.kind == AUTOENCODER:
            return diffusers_keys.original_tensors(tensors)
        return {
            self._own_name(name): tensor.T if self._is_turned(name) else tensor
            for name, tensor in tensors.items()
        }

    @property
    def width(self) -> int:
        """What a diffusion model must agree with: features of a text encoder, channels of latents."""
        shape = self.shapes.get(self._widest, ())
        return shape[1] if len(shape) > 1 else 0

    @property
    def in_open_clip_layout(self) -> bool:
        """Whether it is a CLIP under OpenCLIP's own names, rather than transformers'."""
        return self.kind in CLIP_KINDS and _OPEN_CLIP_LAYER in self.stored

    @property
    def config(self) -> Mapping[str, Any]:
        """Its config.json where it comes from a diffusers folder; otherwise empty."""
        return self.header.configs.get(self.prefix.rstrip("/"), {}) if self.prefix.endswith("/") else {}

    @property
    def info(self) -> PartInfo:
        return part_info(self.kind, self.prefix, self.stored.values())

    @property
    def _widest(self) -> str:
        """The tensor that tells the width."""
        if self.kind in CLIP_KINDS:
            return _OPEN_CLIP_TOKENS if self.in_open_clip_layout else f"text_model.{_CLIP_TOKENS}"
        return "shared.weight" if self.kind == T5_ENCODER else "decoder.conv_in.weight"

    def _is_turned(self, name: str) -> bool:
        """Whether it is a matrix whose rows are the inputs: OpenCLIP's text projection."""
        if name == _RENAMED_PROJECTION:
            return self.prefix.startswith(_FROM_OPEN_CLIP)
        return self.in_open_clip_layout and name == _OPEN_CLIP_PROJECTION

    def _own_name(self, name: str) -> str:
        if self._is_turned(name) or name == _RENAMED_PROJECTION:
            return f"{_OPEN_CLIP_PROJECTION}.weight"
        if self.in_open_clip_layout:
            return name.replace(".attn.in_proj_", ".attn.in_proj.")  # a layer like others in our network
        if self.kind in CLIP_KINDS and name.startswith(("embeddings.", "encoder.", "final_layer_norm.")):
            return f"text_model.{name}"  # transformers 5 leaves it out
        if (
            self.kind == T5_ENCODER
            and name == "encoder.embed_tokens.weight"
            and "shared.weight" not in self.stored
        ):
            return "shared.weight"  # the same tensor; some files have it under this name only
        return name


def recognise(header: CheckpointHeader) -> tuple[Part, ...]:
    """All shared parts in a checkpoint, in the order of their names."""
    found = {(kind, prefix): Part(kind, prefix, header) for kind, prefix in _signatures(header)}
    return tuple(found[key] for key in sorted(found))


def _signatures(header: CheckpointHeader) -> Iterator[tuple[str, str]]:
    tensors = header.tensors
    for name, info in tensors.items():
        prefix = _before(name, _CLIP_TOKENS)
        if prefix is not None:
            prefix = prefix.removesuffix("text_model.")
            yield _clip_kind(header, prefix, info.shape), prefix
        prefix = _before(name, _OPEN_CLIP_TOKENS)
        if prefix is not None and prefix + _OPEN_CLIP_LAYER in tensors:
            yield _clip_kind(header, prefix, info.shape, otherwise=CLIP_G_TEXT), prefix
        prefix = _before(name, _T5_BIAS.format(0))
        if (
            prefix is not None and prefix + _T5_BIAS.format(1) not in tensors
        ):  # UMT5 has a bias in every block
            yield T5_ENCODER, prefix
        for decoder in _DECODERS:
            prefix = _before(name, decoder)
            if prefix is not None and len(info.shape) == 4:  # five dimensions: a video autoencoder
                yield AUTOENCODER, prefix


def _clip_kind(header: CheckpointHeader, prefix: str, tokens: Shape, otherwise: str = CLIP_TEXT) -> str:
    """Which CLIP it is: by its width; where that is none of the usual ones, by its place, then its config."""
    kind = _CLIP_WIDTHS.get(tokens[-1] if tokens else 0)
    if kind is not None:
        return kind
    if any(place in prefix for place in _CLIP_G_PLACES):
        return CLIP_G_TEXT
    if any(place in prefix for place in _OPEN_CLIP_PLACES):
        return OPEN_CLIP_TEXT
    activation = header.configs.get(prefix.rstrip("/"), {}).get("hidden_act")
    return OPEN_CLIP_TEXT if activation == "gelu" else otherwise


def _before(name: str, ending: str) -> str | None:
    prefix = name.removesuffix(ending)
    return prefix if prefix != name and prefix[-1:] in ("", ".", "/") else None


def under(prefix: str, tensors: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
    """The tensors whose names begin with ``prefix``, which is taken off."""
    return {name[len(prefix) :]: info for name, info in tensors.items() if name.startswith(prefix)}


def part_info(kind: str, prefix: str, tensors: Iterable[TensorInfo]) -> PartInfo:
    """Number of weights, bytes, and the type that most bytes are stored in."""
    tensors = list(tensors)
    sizes: Counter[str] = Counter()
    for info in tensors:
        sizes[info.dtype] += info.size_bytes
    return PartInfo(
        kind=kind,
        prefix=prefix,
        dtype=sizes.most_common(1)[0][0] if sizes else "",
        parameters=sum(prod(info.shape) for info in tensors),
        size_bytes=sum(sizes.values()),
    )
