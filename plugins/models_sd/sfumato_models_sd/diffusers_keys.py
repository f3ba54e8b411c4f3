"""Diffusers' `UNet2DConditionModel` tensors in the original layout (LDM's), and back. Imports no torch.

Only names differ. LDM numbers all blocks of one side through; diffusers counts levels, and in each of them
residual blocks ("resnets"), transformers ("attentions") and one change of size.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sfumato_models_sd.config import Block, UNetConfig, expected_shapes

_TOP = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_MIDDLE = {
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_LAYER = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.")
_PREFIX = re.compile(
    r"((?:(?:down|up)_blocks\.\d+|mid_block)\.(?:resnets|attentions|downsamplers|upsamplers)\.\d+)\.(.+)"
)
_ORIGINAL_PREFIX = re.compile(r"((?:input_blocks\.\d+|output_blocks\.\d+|middle_block)\.\d+)\.(.+)")


@dataclass
class _Level:
    """The blocks of one resolution, on one side of the UNet."""

    residual: int = 0
    transformers: tuple[int, ...] = ()
    resized: bool = False


def is_diffusers_unet(names: Collection[str]) -> bool:
    """Whether tensors of these names are a UNet as diffusers writes it."""
    landmarks = ("conv_in.weight", "conv_out.weight", "mid_block.resnets.0.conv1.weight")
    return sum(name in names for name in landmarks) >= 2 and any(n.startswith("up_blocks.") for n in names)


def original_names(names: Collection[str]) -> dict[str, str]:
    """The original name of each diffusers tensor; one that is not of a UNet stays as it is."""
    prefixes = {
        new: old for old, new in _prefixes(_stored_levels(names, "down"), _stored_levels(names, "up"))
    }
    return {name: _original_name(name, prefixes) for name in names}


def diffusers_names(config: UNetConfig) -> dict[str, str]:
    """Diffusers' name of each tensor of a UNet of these sizes, by its original one."""
    prefixes = dict(_prefixes(_levels(config.input_blocks[1:]), _levels(config.output_blocks)))
    return {name: _diffusers_name(name, prefixes) for name in expected_shapes(config)}


def _prefixes(down: list[_Level], up: list[_Level]) -> Iterator[tuple[str, str]]:
    """For all layers in blocks, what names begin with: originally, and in diffusers."""
    yield from ((old, new) for new, old in _MIDDLE.items())
    number = 1
    for i, level in enumerate(down):
        for j in range(level.residual):
            yield f"input_blocks.{number}.0", f"down_blocks.{i}.resnets.{j}"
            yield f"input_blocks.{number}.1", f"down_blocks.{i}.attentions.{j}"
            number += 1
        if level.resized:
            yield f"input_blocks.{number}.0", f"down_blocks.{i}.downsamplers.0"
            number += 1
    number = 0
    for i, level in enumerate(up):
        for j in range(level.residual):
            last = level.resized and j == level.residual - 1
            if last:
                place = 2 if j in level.transformers else 1
                yield f"output_blocks.{number}.{place}", f"up_blocks.{i}.upsamplers.0"
            yield f"output_blocks.{number}.0", f"up_blocks.{i}.resnets.{j}"
            if j in level.transformers:
                yield f"output_blocks.{number}.1", f"up_blocks.{i}.attentions.{j}"
            number += 1


def _stored_levels(names: Collection[str], side: str) -> list[_Level]:
    """The levels of one side, read off diffusers' names."""
    found: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        if (match := _LAYER.match(name)) and match[1] == side:
            found[int(match[2])][match[3]].add(int(match[4]))
    return [
        _Level(
            len(level["resnets"]),
            tuple(sorted(level["attentions"])),
            bool(level["downsamplers"] or level["upsamplers"]),
        )
        for _, level in sorted(found.items())
    ]


def _levels(blocks: Collection[Block]) -> list[_Level]:
    """The levels of one side, read off its blocks; each ends with a change of size."""
    levels = [_Level()]
    for block in blocks:
        if levels[-1].resized:
            levels.append(_Level())
        level, kinds = levels[-1], [layer.kind for layer in block]
        if "transformer" in kinds:
            level.transformers += (level.residual,)
        level.residual += kinds.count("residual")
        level.resized = "downsample" in kinds or "upsample" in kinds
    return levels


def _original_name(name: str, prefixes: Mapping[str, str]) -> str:
    layer, _, ending = name.rpartition(".")
    if layer in _TOP:
        return f"{_TOP[layer]}.{ending}"
    match = _PREFIX.match(name)
    if match is None or match[1] not in prefixes:
        return name
    inner, _, ending = match[2].rpartition(".")
    if ".resnets." in match[1]:
        inner = _RESIDUAL.get(inner, inner)
    elif ".downsamplers." in match[1]:
        inner = "op"
    return f"{prefixes[match[1]]}.{inner}.{ending}"


def _diffusers_name(name: str, prefixes: Mapping[str, str]) -> str:
    layer, _, ending = name.rpartition(".")
    for new, old in _TOP.items():
        if layer == old:
            return f"{new}.{ending}"
    match = _ORIGINAL_PREFIX.match(name)
    if match is None or match[1] not in prefixes:
        return name
    new, inner = prefixes[match[1]], match[2].rpartition(".")[0]
    if ".resnets." in new:
        inner = next(theirs for theirs, ours in _RESIDUAL.items() if ours == inner)
    elif ".downsamplers." in new:
        inner = "conv"
    return f"{new}.{inner}.{ending}"
