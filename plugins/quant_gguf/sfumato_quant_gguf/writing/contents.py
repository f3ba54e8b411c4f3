"""What of a model goes into a GGUF file: a part, or all, under the names that other programs know.

Diffusion models have the names of their makers' own files there, without a prefix, and T5 those of llama.cpp.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sfumato.errors import BadInput, CheckpointError, UnknownName
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.parts import AUTOENCODER, CLIP_KINDS, T5_ENCODER, Part, recognise
from sfumato_quant_gguf import t5_names

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
Opener = Callable[[Mapping[str, "Tensor"]], Mapping[str, "Tensor"]]

DIFFUSION_MODEL, ALL = "diffusion_model", "all"
DIFFUSION_MODELS = ("transformer", "unet")
PARTS = (DIFFUSION_MODEL, *DIFFUSION_MODELS, T5_ENCODER, *CLIP_KINDS, AUTOENCODER, ALL)
_WHOLE_FILE_PREFIXES = {
    T5_ENCODER: "text_encoders.t5xxl.transformer.",
    "clip_text": "text_encoders.clip_l.transformer.",
    "clip_g_text": "text_encoders.clip_g.transformer.",
    "open_clip_text": "cond_stage_model.",
    AUTOENCODER: "vae.",
}
"""As ComfyUI saves whole checkpoints; for diffusers folders, whose own names say "part/name"."""
_FLOATING = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class SourceTensor:
    """A tensor that is to be written: its shape, how it is stored now, and the kind of part it is of."""

    shape: Shape
    dtype: str
    size_bytes: int
    kind: str


@dataclass(frozen=True)
class Content:
    """What is to be written.

    Attributes:
        architecture: `general.architecture`.
        kind: Of part, or `ALL`.
        tensors: By the name that they are to have.
        open: Those tensors, from the opened checkpoint.
        clip_config: The config.json of a CLIP from a diffusers folder.
        left_behind: The kinds of parts that lie beside the diffusion model in the source.
    """

    header: CheckpointHeader
    architecture: str
    kind: str
    tensors: Mapping[str, SourceTensor]
    open: Opener = field(compare=False)
    clip_config: Mapping[str, Any] = field(default_factory=dict, compare=False)
    left_behind: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """As it is stored now."""
        return sum(tensor.size_bytes for tensor in self.tensors.values())


@dataclass(frozen=True)
class _Diffusion:
    """A diffusion model as its family finds it."""

    architecture: str
    kind: str
    prefix: str
    shapes: Mapping[str, Shape]
    stored: Mapping[str, tuple[TensorInfo, ...]]
    open: Opener = field(compare=False)


def content_of(header: CheckpointHeader, part: str = DIFFUSION_MODEL) -> Content:
    """What a checkpoint holds of a part.

    Without a wish, that is the diffusion model, or the only part of a file that has no other.

    Raises:
        UnknownName: there is no part of that name.
        BadInput: the checkpoint does not hold it.
        CheckpointError: its architecture has no name in GGUF files.
    """
    if part not in PARTS:
        raise UnknownName("part", part, PARTS)
    parts = recognise(header)
    diffusion = _diffusion(header)
    if part == ALL:
        return _everything(header, diffusion, parts)
    if part in (DIFFUSION_MODEL, *DIFFUSION_MODELS):
        if diffusion is not None and part in (DIFFUSION_MODEL, diffusion.kind):
            return replace(_diffusion_content(header, diffusion), left_behind=_kinds(parts))
        if part == DIFFUSION_MODEL and len(parts) == 1:
            return _part_content(header, parts[0])
        raise _absent(header, part, diffusion, parts)
    found = [one for one in parts if one.kind == part]
    if not found:
        raise _absent(header, part, diffusion, parts)
    return _part_content(header, found[0])


def _absent(
    header: CheckpointHeader, part: str, diffusion: _Diffusion | None, parts: tuple[Part, ...]
) -> BadInput:
    held = ([diffusion.kind] if diffusion else []) + list(_kinds(parts))
    if not held:
        return CheckpointError(
            f"'{header.path.name}' cannot be written as GGUF.",
            why="It holds nothing that has a known layout in such files.",
            hint="Known are Flux, Chroma, Stable Diffusion 1 to 3.5, T5 and CLIP encoders, autoencoders.",
        )
    return BadInput(
        f"'{header.path.name}' holds no {part.replace('_', ' ')}.",
        why=f"It holds: {', '.join(held)}.",
        hint=f"Name one of them: --part {held[0]}",
    )


def _kinds(parts: tuple[Part, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.kind for part in parts))


def _diffusion(header: CheckpointHeader) -> _Diffusion | None:
    from sfumato_models_flux.chroma.detection import find_chroma
    from sfumato_models_flux.stored_transformer import find_transformer as find_flux
    from sfumato_models_sd.sd3.stored_transformer import find_transformer as find_sd3
    from sfumato_models_sd.stored_unet import find_unet

    for architecture, find in (("flux", find_flux), ("flux", find_chroma), ("sd3", find_sd3)):
        found: Any = find(header)
        if found is not None:
            pieces = {name: tuple(found.tensors[n] for n in s.names) for name, s in found.sources.items()}
            return _Diffusion(
                architecture, "transformer", found.prefix, found.shapes, pieces, _with_positions(found)
            )
    unet = find_unet(header)
    if unet is None:
        return None
    single = {name: (unet.tensors[stored],) for name, stored in unet.names.items()}
    is_xl = "label_emb.0.0.weight" in unet.names
    return _Diffusion("sdxl" if is_xl else "sd1", "unet", unet.prefix, unet.shapes, single, unet.open)


def _with_positions(found: Any) -> Opener:
    """Stable Diffusion 3's table of positions is no part of its network, but of its file."""
    from sfumato_networks.made_tensors import MadeTensors, Source

    sources = {
        name: Source(tuple(found.prefix + one for one in source.names), source.halves_swapped)
        for name, source in found.sources.items()
    }
    return lambda opened: MadeTensors(opened, sources)


def _diffusion_content(header: CheckpointHeader, diffusion: _Diffusion) -> Content:
    tensors = {
        name: _source(shape, diffusion.stored[name], diffusion.kind)
        for name, shape in diffusion.shapes.items()
        if _is_wanted(shape, diffusion.stored[name])
    }
    return Content(header, diffusion.architecture, diffusion.kind, tensors, diffusion.open)


def _part_content(header: CheckpointHeader, part: Part, *, within_a_whole: bool = False) -> Content:
    """A shared part; T5 under llama.cpp's names, but within a whole model, as those files have it."""
    names, shapes, opened_part = _named(part)
    tensors = {
        own: _source(shapes[own], (part.stored[stored],), part.kind)
        for own, stored in names.items()
        if _is_wanted(shapes[own], (part.stored[stored],))
    }
    if part.kind != T5_ENCODER or within_a_whole:
        return Content(header, part.kind, part.kind, tensors, opened_part, part.config)
    renamed = {new: own for own in tensors if (new := t5_names.llama_cpp_name(own))}
    return Content(
        header,
        "t5encoder",
        part.kind,
        {new: tensors[own] for new, own in renamed.items()},
        lambda opened: _renamed(opened_part(opened), renamed),
    )


def _named(part: Part) -> tuple[dict[str, str], Mapping[str, Shape], Opener]:
    """Stored names by those in the file, shapes, and the tensors: in our networks' layout, or OpenCLIP's."""
    if part.in_open_clip_layout:
        names = {name: name for name in part.stored}
        shapes = {name: info.shape for name, info in part.stored.items()}
        return names, shapes, lambda opened: {name: opened[part.prefix + name] for name in names}
    shapes = part.shapes
    return dict(zip(shapes, part.stored, strict=True)), shapes, part.tensors


def _renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> Mapping[str, Tensor]:
    return {new: tensors[name] for new, name in names.items()}


def _everything(header: CheckpointHeader, diffusion: _Diffusion | None, parts: tuple[Part, ...]) -> Content:
    if diffusion is None:
        raise _absent(header, "diffusion model", diffusion, parts)
    contents = {"model.diffusion_model.": _diffusion_content(header, diffusion)}
    for part in parts:
        prefix = _WHOLE_FILE_PREFIXES[part.kind] if part.prefix.endswith("/") else part.prefix
        contents[prefix or _WHOLE_FILE_PREFIXES[part.kind]] = _part_content(header, part, within_a_whole=True)
    tensors = {p + name: one for p, content in contents.items() for name, one in content.tensors.items()}
    return Content(header, diffusion.architecture, ALL, tensors, lambda opened: _Joined(contents, opened))


class _Joined(Mapping[str, "Tensor"]):
    """The tensors of several contents, each under a prefix."""

    def __init__(self, contents: Mapping[str, Content], opened: Mapping[str, Tensor]) -> None:
        self._found = {
            prefix + name: (tensors, name)
            for prefix, content in contents.items()
            for tensors in [content.open(opened)]
            for name in content.tensors
        }

    def __getitem__(self, name: str) -> Tensor:
        tensors, inner = self._found[name]
        return tensors[inner]

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _source(shape: Shape, pieces: tuple[TensorInfo, ...], kind: str) -> SourceTensor:
    return SourceTensor(shape, pieces[0].dtype, sum(piece.size_bytes for piece in pieces), kind)


def _is_wanted(shape: Shape, pieces: tuple[TensorInfo, ...]) -> bool:
    """Not so numbers of positions, and marks that hold no number."""
    whole = pieces[0].dtype.startswith(("I", "U", "BOOL")) and not pieces[0].dtype.startswith("IQ")
    return bool(shape) and 0 not in shape and not whole
