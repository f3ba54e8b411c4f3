"""A factor for each block of a network, as the extension LoRA Block Weight counts them.

UNets have the blocks of Stable Diffusion's original code: IN00-IN11, M00, OUT00-OUT11 (to 08 in SDXL), and
BASE, the text encoders. The lists of 12 and 17 leave out the blocks without attention, which then get 0. Flux
has CLIP, T5, IN, a block each for its double (D00 ...) and single (S00 ...) ones, and OUT. Other
transformers have BASE and their blocks in order. What lies outside of all blocks keeps 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sfumato.errors import BadInput, UnknownName
from sfumato_adapters.strength import parse_number


def _numbered(name: str, numbers: Sequence[int]) -> list[str]:
    return [f"{name}{number:02}" for number in numbers]


_INNER = [1, 2, 4, 5, 7, 8]
UNET_LISTS: Mapping[int, tuple[str, ...]] = {
    len(names): tuple(names)
    for names in (
        ["BASE", *_numbered("IN", [4, 5, 7, 8]), "M00", *_numbered("OUT", range(6))],
        ["BASE", *_numbered("IN", _INNER), "M00", *_numbered("OUT", range(3, 12))],
        ["BASE", *_numbered("IN", range(9)), "M00", *_numbered("OUT", range(9))],
        ["BASE", *_numbered("IN", range(12)), "M00", *_numbered("OUT", range(12))],
    )
}
"""The blocks that a list of so many weights stands for."""

_ALL = UNET_LISTS[17]
_DEEP_IN, _SHALLOW_IN = ("IN05", "IN07", "IN08"), ("IN01", "IN02", "IN04")
_DEEP_OUT, _SHALLOW_OUT = _ALL[8:12], _ALL[12:]
PRESETS: Mapping[str, tuple[str, ...]] = {
    "NONE": (),
    "ALL": _ALL,
    "INS": ("BASE", *_SHALLOW_IN),
    "IND": ("BASE", *_DEEP_IN),
    "INALL": ("BASE", *_SHALLOW_IN, *_DEEP_IN),
    "MIDD": ("BASE", *_DEEP_IN, "M00", *_DEEP_OUT),
    "OUTD": ("BASE", *_DEEP_OUT),
    "OUTS": ("BASE", *_SHALLOW_OUT),
    "OUTALL": ("BASE", *_DEEP_OUT, *_SHALLOW_OUT),
}
"""The extension's own names: the blocks that get 1."""

_UNET_BLOCK = re.compile(r"(?:^|\.)(?:(input|output)_blocks\.(\d+)|(middle_block))\.")
_FLUX_BLOCK = re.compile(r"(?:^|\.)(double|single)_blocks\.(\d+)\.")
_ANY_BLOCK = re.compile(r"^(\w*(?:blocks|layers))\.(\d+)\.")


@dataclass(frozen=True)
class BlockWeights:
    """Factors as a tag gives them: the numbers, or the name of a preset."""

    numbers: tuple[float, ...] = ()
    preset: str = ""


def looks_like_block_weights(text: str) -> bool:
    """Whether it is a preset's name or a long list of numbers."""
    return text.strip().upper() in PRESETS or ("@" not in text and text.count(",") >= 2)


def parse_block_weights(text: str) -> BlockWeights:
    """A preset's name, or numbers between commas; raises `ValueError` saying what is wrong."""
    name = text.strip().upper()
    if name in PRESETS:
        return BlockWeights(preset=name)
    if "," not in text:
        raise ValueError(f"There are no block weights named '{text}', only {', '.join(PRESETS)}")
    if any(item.strip()[:1] in ("R", "U", "X") for item in text.split(",")):
        raise ValueError("Random block weights (R, U, X) are not supported, for no picture could be repeated")
    return BlockWeights(numbers=tuple(parse_number(item) for item in text.split(",")))


class BlockFactors:
    """The factor of every layer of one model's networks.

    Raises:
        BadInput: there are more or fewer weights than the model has blocks.
    """

    def __init__(self, weights: BlockWeights | None, networks: Mapping[str, Any], tag: str) -> None:
        self._factors: Mapping[str, float] | None = None
        if weights is None:
            return
        if "unet" in networks:
            self._factors = _of_unet(weights, tag)
        else:
            self._factors = _in_order(weights, _blocks_of(networks), tag)

    def of(self, part: str, layer: str) -> float:
        if self._factors is None:
            return 1.0
        return self._factors.get(block_of(part, layer, flux="CLIP" in self._factors), 1.0)


def block_of(part: str, layer: str, *, flux: bool = False) -> str:
    """The name of the block that a layer lies in; empty for none."""
    if part not in ("unet", "transformer"):
        return ("T5" if part == "t5_encoder" else "CLIP") if flux else "BASE"
    if match := _UNET_BLOCK.search(layer):
        return "M00" if match[3] else f"{'IN' if match[1] == 'input' else 'OUT'}{int(match[2]):02}"
    if match := _FLUX_BLOCK.search(layer):
        return f"{match[1][0].upper()}{int(match[2]):02}"
    if flux:
        return "OUT" if layer.startswith("final_layer") else "IN" if "_in" in layer.split(".")[0] else ""
    match = _ANY_BLOCK.match(layer)
    return f"{match[1]}.{int(match[2])}" if match else ""


def _blocks_of(networks: Mapping[str, Any]) -> list[str]:
    """The blocks of a transformer in the order of its weights."""
    names = (
        [name for name, _ in networks["transformer"].named_parameters()] if "transformer" in networks else []
    )
    flux = any(name.startswith("double_blocks.") for name in names)
    found = dict.fromkeys(block_of("transformer", name, flux=flux) for name in names)
    inner = [name for name in found if name not in ("", "IN", "OUT")]
    return ["CLIP", "T5", "IN", *inner, "OUT"] if flux else ["BASE", *inner]


def _of_unet(weights: BlockWeights, tag: str) -> dict[str, float]:
    every = dict.fromkeys(UNET_LISTS[26], 0.0)
    if weights.preset:
        return every | dict.fromkeys(PRESETS[weights.preset], 1.0)
    names = UNET_LISTS.get(len(weights.numbers))
    if names is None:
        counts = ", ".join(str(count) for count in sorted(UNET_LISTS))
        raise _wrong_count(len(weights.numbers), f"A UNet takes one of {counts}", tag)
    return every | dict(zip(names, weights.numbers, strict=True))


def _in_order(weights: BlockWeights, names: list[str], tag: str) -> dict[str, float]:
    if weights.preset in ("ALL", "NONE"):
        return dict.fromkeys(names, 1.0 if weights.preset == "ALL" else 0.0)
    if weights.preset:
        raise UnknownName("preset of block weights for this model", weights.preset, ("ALL", "NONE"))
    if len(weights.numbers) != len(names):
        shown = names if len(names) <= 8 else [*names[:4], "...", *names[-2:]]
        raise _wrong_count(len(weights.numbers), f"This model takes {len(names)}: {', '.join(shown)}", tag)
    return dict(zip(names, weights.numbers, strict=True))


def _wrong_count(given: int, wanted: str, tag: str) -> BadInput:
    return BadInput(f"The block weights in '{tag}' do not fit.", why=f"There are {given}.", hint=f"{wanted}.")
