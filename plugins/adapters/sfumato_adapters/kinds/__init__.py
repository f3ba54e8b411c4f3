"""The kinds of adapters: what tensors of a layer belong to each, and what change they come to.

Imports no torch: a file's header is enough to say of which kinds its layers are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from sfumato_adapters.kinds import dora, scaling
from sfumato_adapters.kinds.delta import Kind, Shape
from sfumato_adapters.kinds.full import FULL, FULL_BIAS, KEPT, KEPT_BIAS, NORM, NORM_BIAS, SET
from sfumato_adapters.kinds.glora import GLORA
from sfumato_adapters.kinds.ia3 import IA3, IA3_PEFT
from sfumato_adapters.kinds.loha import LOHA
from sfumato_adapters.kinds.lokr import LOKR
from sfumato_adapters.kinds.lora import LORA, LORA_BIAS
from sfumato_adapters.kinds.oft import BOFT, EARLY_OFT, OFT

KINDS: tuple[Kind, ...] = (
    LORA,
    LORA_BIAS,
    LOHA,
    LOKR,
    GLORA,
    OFT,
    BOFT,
    EARLY_OFT,
    IA3,
    IA3_PEFT,
    FULL,
    FULL_BIAS,
    NORM,
    NORM_BIAS,
    SET,
    KEPT,
    KEPT_BIAS,
)
PLAIN = frozenset((KEPT, KEPT_BIAS))
"""Those of the same names as the tensors of a whole model."""

SLOTS: dict[str, str] = {
    **scaling.SUFFIXES,
    **dora.SUFFIXES,
    **{suffix: slot for kind in KINDS for suffix, slot in kind.suffixes.items()},
}
"""What a tensor is to its layer, by the end of its name."""


def kinds_of(shapes: Mapping[str, Shape]) -> tuple[Kind, ...]:
    """The kinds that a layer with tensors of these shapes, by slot, is of."""
    return _kinds_of(tuple((slot, tuple(shape)) for slot, shape in shapes.items()))


@lru_cache(maxsize=1024)  # a file has hundreds of layers, of a few shapes
def _kinds_of(shapes: tuple[tuple[str, Shape], ...]) -> tuple[Kind, ...]:
    found = dict(shapes)
    return tuple(kind for kind in KINDS if kind.claims(found))


@cache
def slots_of(kinds: tuple[Kind, ...]) -> frozenset[str]:
    """The slots that mean something in a layer of these kinds."""
    if not kinds:
        return frozenset()
    own = frozenset().union(*(kind.slots for kind in kinds))
    lengths = dora.SLOTS if any(kind.parameter == "weight" for kind in kinds) else frozenset()
    return own | lengths | frozenset(scaling.SUFFIXES.values())


def names_of_kinds(layers: Mapping[str, Mapping[str, Shape]]) -> tuple[str, ...]:
    """What the kinds of these layers are called, "dora" among them where lengths are stored; each once."""
    names: dict[str, None] = {}
    for shapes in layers.values():
        kinds = kinds_of(shapes)
        names.update(dict.fromkeys(kind.name for kind in kinds))
        if kinds and dora.SLOTS.intersection(shapes):
            names["dora"] = None
    return tuple(names)


__all__ = ["KINDS", "PLAIN", "SLOTS", "Kind", "kinds_of", "names_of_kinds", "slots_of"]
