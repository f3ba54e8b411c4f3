"""The ways in which trainers name the tensors of an adapter. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sfumato_adapters.kinds.delta import Shape
from sfumato_adapters.layouts import attention_processors, dotted, kohya, omi, xlabs
from sfumato_adapters.layouts.spelling import LayerName, Section, Spelling

LAYOUTS: tuple[Callable[[str], Spelling | None], ...] = (
    kohya.read,
    xlabs.read,
    attention_processors.read,
    omi.read,
    dotted.read,
)
"""Readers of one name each, asked in this order."""
BUNDLED_WORDS = "bundle_emb."
"""What the names of learned words begin with that a LoRA brings along."""


@dataclass(frozen=True)
class NamedLayer:
    """The tensors that a file has for one layer: (slot, name of the tensor), in the order of the file."""

    stem: str
    name: LayerName
    keys: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NamedTensors:
    """A file's tensors by layer, and those whose names are not understood."""

    layers: tuple[NamedLayer, ...]
    unknown: tuple[str, ...]


def read_key(key: str) -> Spelling | None:
    """A tensor's name taken apart; None where no layout knows it."""
    return next((spelling for layout in LAYOUTS if (spelling := layout(key))), None)


def read_names(keys: Iterable[str]) -> NamedTensors:
    """All names of a file taken apart, those of one layer together; learned words are left aside."""
    names: dict[str, LayerName] = {}
    slots: dict[str, list[tuple[str, str]]] = {}
    unknown = []
    for key in keys:
        if key.startswith(BUNDLED_WORDS):
            continue
        spelling = read_key(key)
        if spelling is None:
            unknown.append(key)
            continue
        names[spelling.stem] = spelling.layer
        slots.setdefault(spelling.stem, []).append((spelling.slot, key))
    layers = tuple(NamedLayer(stem, names[stem], tuple(keys)) for stem, keys in slots.items())
    return NamedTensors(layers, tuple(unknown))


def layer_shapes(named: NamedTensors, shapes: Mapping[str, Shape]) -> dict[str, dict[str, Shape]]:
    """The shapes of the tensors by slot, by the stem of the layer's name."""
    return {layer.stem: {slot: shapes[key] for slot, key in layer.keys} for layer in named.layers}


def layout_of(named: NamedTensors) -> str:
    """Whose way of naming most of the layers follow."""
    counted = Counter(layer.name.layout for layer in named.layers).most_common(1)
    return counted[0][0] if counted else ""


__all__ = [
    "BUNDLED_WORDS",
    "LAYOUTS",
    "LayerName",
    "NamedLayer",
    "NamedTensors",
    "Section",
    "Spelling",
    "layer_shapes",
    "layout_of",
    "read_key",
    "read_names",
]
