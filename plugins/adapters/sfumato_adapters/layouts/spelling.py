"""How an adapter's file spells what a tensor is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from sfumato_adapters.kinds import SLOTS

_LONGEST_SUFFIX = 3
_ADAPTER_NAME = re.compile(
    r"\.(lora_[AB]|lora_magnitude_vector|lora_embedding_[AB])\.[^.]+(\.weight|\.bias)?$"
)


class Section(Enum):
    """Which of a model's networks is meant."""

    DIFFUSION = "diffusion"
    TEXT_1 = "text 1"
    TEXT_2 = "text 2"
    TEXT_3 = "text 3"
    TEXT = "text"
    """A text encoder without a number."""
    ANY = "any"


@dataclass(frozen=True)
class LayerName:
    """A layer as a file names it.

    Attributes:
        layout: Whose way of naming it is.
        section: The network it lies in.
        layer: Its path there.
        flat: Whether dots are written as underscores, so that only a table of all layers tells them apart.
    """

    layout: str
    section: Section
    layer: str
    flat: bool = False


@dataclass(frozen=True)
class Spelling:
    """The name of a tensor, taken apart.

    Attributes:
        stem: What all tensors of the layer begin with.
        slot: What the tensor is to its layer, see `sfumato_adapters.kinds`.
    """

    stem: str
    layer: LayerName
    slot: str


def split_suffix(key: str) -> tuple[str, str] | None:
    """The stem of a tensor's name and its slot; None where its end is not known.

    PEFT may put the name of the adapter in between: ``lora_A.default.weight``.
    """
    match = _ADAPTER_NAME.search(key)
    if match and f"{match[1]}{match[2] or ''}" in SLOTS:
        return key[: match.start()], SLOTS[f"{match[1]}{match[2] or ''}"]
    words = key.split(".")
    for count in range(min(_LONGEST_SUFFIX, len(words) - 1), 0, -1):
        slot = SLOTS.get(".".join(words[-count:]))
        if slot is not None and words[0]:
            return ".".join(words[:-count]), slot
    return None
