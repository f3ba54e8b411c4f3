"""The layers of a loaded model by every name that adapters may call them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sfumato.models import LayerTarget, LoadedModel
from sfumato_adapters.kinds.delta import Shape
from sfumato_adapters.layouts import LayerName, Section

if TYPE_CHECKING:
    from torch import Tensor

_DRAWING = ("unet", "transformer")
_NOT_FOR_ADAPTERS = ("autoencoder",)
_NEVER_FIRST = ("clip_g_text",)
_SECOND = ("clip_g_text", "t5_encoder")
_THIRD = ("t5_encoder",)
_FUSED = (
    ("qkv", ("to_q", "to_k", "to_v")),
    ("qkv", ("q", "k", "v")),
    ("qkv", ("q_proj", "k_proj", "v_proj")),
    ("qkv", ("attn_q", "attn_k", "attn_v")),
    ("to_qkv", ("to_q", "to_k", "to_v")),
    ("to_kv", ("to_k", "to_v")),
    ("to_added_qkv", ("add_q_proj", "add_k_proj", "add_v_proj")),
    ("in_proj", ("q_proj", "k_proj", "v_proj")),
    ("out", ("to_out.0",)),
)
"""Layers by the end of their names, and what takes their place in networks that keep apart what was fused."""


@dataclass(frozen=True)
class FoundLayer:
    """A layer, or a piece of what the adapter knows as one.

    Attributes:
        rows: First and one past the last of the adapter's output features that fall on it; None for all.
    """

    part: str
    target: LayerTarget
    rows: tuple[int, int] | None = None


class LayerTable:
    """Finds layers by name in the networks of one model."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._names = {
            part: model.layer_names(part) for part in model.networks if part not in _NOT_FOR_ADAPTERS
        }

    def find(self, name: LayerName) -> tuple[FoundLayer, ...]:
        """The layer of this name, several where the network keeps apart what the name says is fused."""
        for part in self._parts(name.section):
            names = self._flat[part] if name.flat else self._names[part]
            target = names.get(name.layer)
            if target is None and part not in _DRAWING:
                target = names.get(f"text_model{'_' if name.flat else '.'}{name.layer}")
            if target is not None:
                return (FoundLayer(part, target),)
            pieces = _pieces(names, name.layer, "_" if name.flat else ".")
            if pieces:
                return self._in_rows(part, pieces)
        return ()

    def parameter(self, found: FoundLayer, name: str) -> Tensor | None:
        """The weight or bias of a layer as adapters know it; None where it has none."""
        module = self._model.networks[found.part].get_submodule(found.target.layer)
        parameter = getattr(module, name, None)
        if parameter is None or found.target.rows is None:
            return parameter
        start, stop = found.target.rows
        return parameter[start:stop]

    def shape(self, found: tuple[FoundLayer, ...], name: str) -> Shape | None:
        """The shape of a parameter as the adapter knows it, over all pieces; None where it has none."""
        parameters = [self.parameter(piece, name) for piece in found]
        present = [tuple(parameter.shape) for parameter in parameters if parameter is not None]
        if len(present) != len(found) or len({shape[1:] for shape in present}) != 1:
            return None
        return (sum(shape[0] for shape in present), *present[0][1:])

    @cached_property
    def _flat(self) -> dict[str, dict[str, LayerTarget]]:
        return {
            part: {name.replace(".", "_"): target for name, target in names.items()}
            for part, names in self._names.items()
        }

    def _parts(self, section: Section) -> list[str]:
        """The networks that may be meant, the likeliest first."""
        text = [part for part in self._names if part not in _DRAWING]
        diffusion = [part for part in self._names if part in _DRAWING]
        match section:
            case Section.DIFFUSION:
                return diffusion
            case Section.TEXT_1:
                # A model may be loaded without its first one: then what is for that fits none.
                return [part for part in text if part not in _NEVER_FIRST][:1]
            case Section.TEXT_2:
                return [part for part in text if part in _SECOND]
            case Section.TEXT_3:
                return [part for part in text if part in _THIRD]
            case Section.TEXT:
                return text
            case Section.ANY:
                return diffusion + text

    def _in_rows(self, part: str, targets: list[LayerTarget]) -> tuple[FoundLayer, ...]:
        found, start = [], 0
        for target in targets:
            weight = self.parameter(FoundLayer(part, target), "weight")
            stop = start + (0 if weight is None else weight.shape[0])
            found.append(FoundLayer(part, target, (start, stop) if len(targets) > 1 else None))
            start = stop
        return tuple(found)


def _pieces(names: Mapping[str, LayerTarget], layer: str, dot: str) -> list[LayerTarget]:
    """The layers that together are the fused one of this name; empty where there is no such."""
    for fused, parts in _FUSED:
        before = layer.removesuffix(fused)
        if before != layer and (not before or before.endswith(dot)):
            found = [names.get(before + part.replace(".", dot)) for part in parts]
            if all(target is not None for target in found):
                return [target for target in found if target is not None]
    return []
