"""Mixes of types by name: which layers of a model get more bits than the rest. Imports no torch.

Errors in some layers show more than in others: what attention hands on (its values, and the fused layer that
they are rows of), and what a block adds to its stream (the last layer of its MLP). The makers of the format
give these more bits in some blocks; so do the mixes named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sfumato.errors import UnknownName
from sfumato_quant_gguf.written_types import refuse_unwritten

VALUE, FUSED, DOWN = "value", "fused", "down"
"""Roles of layers: attention's values; queries, keys and values in one; the last layer of an MLP."""

_ROLES = (
    (VALUE, re.compile(r"(^|\.)(to_v|v_proj|v|attn_v|w1v|w2v)\.weight$")),
    (FUSED, re.compile(r"(^|\.)(qkv|attn_qkv|in_proj)[._]weight$")),
    (
        DOWN,
        re.compile(
            r"(^|\.)(mlp\.2|(img|txt)_mlp\.2|mlp\.fc2|ff\.net\.2|wo|ffn_down|linear2|c_proj)\.weight$"
        ),
    ),
)
_BLOCK = re.compile(r"^((?:conditioner\.embedders\.\d+\.)?.*?)\.?(\d+)\.")


@dataclass(frozen=True)
class Mix:
    """The types of a preset, as the format spells them.

    Attributes:
        base: Of most layers.
        everywhere: By role, of all blocks.
        often: By role, of the blocks of `gets_more_bits`; before `everywhere`.
        first: By role, of the first eighth of the blocks; before the others.
        file_type: `general.file_type` (llama.cpp's `llama_ftype`).
    """

    base: str
    file_type: int
    everywhere: Mapping[str, str] = field(default_factory=dict)
    often: Mapping[str, str] = field(default_factory=dict)
    first: Mapping[str, str] = field(default_factory=dict)

    def type_of(self, name: str, depths: Mapping[str, int]) -> str:
        """The type of a tensor; `depths` are those of `block_counts`."""
        role = role_of(name)
        if role is None:
            return self.base
        place, depth = block_of(name), 0
        if place is not None:
            depth = depths.get(place[0], 0)
            if role in self.first and place[1] < depth / 8:
                return self.first[role]
            if role in self.often and gets_more_bits(place[1], depth):
                return self.often[role]
        return self.everywhere.get(role, self.base)


def _both(type_name: str) -> dict[str, str]:
    return {VALUE: type_name, DOWN: type_name}


PRESETS: Mapping[str, Mix] = {
    "f32": Mix("F32", 0),
    "f16": Mix("F16", 1),
    "bf16": Mix("BF16", 32),
    "q8_0": Mix("Q8_0", 7),
    "q6_k": Mix("Q6_K", 18),
    "q5_k_m": Mix("Q5_K", 17, everywhere={FUSED: "Q6_K"}, often=_both("Q6_K")),
    "q5_k_s": Mix("Q5_K", 16),
    "q5_1": Mix("Q5_1", 9),
    "q5_0": Mix("Q5_0", 8),
    "q4_k_m": Mix("Q4_K", 15, everywhere={FUSED: "Q5_K"}, often=_both("Q6_K")),
    "q4_k_s": Mix("Q4_K", 14, first=_both("Q5_K")),
    "q4_1": Mix("Q4_1", 3),
    "q4_0": Mix("Q4_0", 2),
    "iq4_nl": Mix("IQ4_NL", 25, first=_both("Q5_K")),
    "iq4_xs": Mix("IQ4_XS", 30, first=_both("Q5_K")),
    "q3_k_l": Mix("Q3_K", 13, everywhere={FUSED: "Q4_K"} | _both("Q5_K")),
    "q3_k_m": Mix("Q3_K", 12, everywhere={FUSED: "Q4_K"} | _both("Q4_K"), first=_both("Q5_K")),
    "q3_k_s": Mix("Q3_K", 11),
    "q2_k": Mix("Q2_K", 10, everywhere={FUSED: "Q3_K"} | _both("Q3_K"), first=_both("Q4_K")),
    "mxfp4": Mix("MXFP4", 38),
    "tq2_0": Mix("TQ2_0", 37),
    "tq1_0": Mix("TQ1_0", 36),
}
"""From the largest files to the smallest, roughly."""

_ALSO = {"q2_k_s": "q2_k", "q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}
_NEED_IMPORTANCE = re.compile(r"iq[123]_\w+")


def preset(name: str) -> tuple[str, Mix]:
    """A mix and its own name, from its name in any letter case, or with "-" for "_".

    Raises:
        BadInput: it is one that is read, but not written here.
        UnknownName: there is none of that name.
    """
    wanted = name.lower().replace("-", "_")
    wanted = _ALSO.get(wanted, wanted)
    if wanted in PRESETS:
        return wanted, PRESETS[wanted]
    if _NEED_IMPORTANCE.fullmatch(wanted):
        refuse_unwritten(wanted)
    raise UnknownName("preset", name, PRESETS)


def role_of(name: str) -> str | None:
    """The role of a tensor, by its name in any layout that is read; None for most."""
    return next((role for role, pattern in _ROLES if pattern.search(name)), None)


def block_of(name: str) -> tuple[str, int] | None:
    """The stack of blocks that a tensor is of, and the number of its block in it."""
    match = _BLOCK.match(name)
    return (match[1], int(match[2])) if match else None


def block_counts(names: Iterable[str]) -> dict[str, int]:
    """How many blocks each stack has."""
    counts: dict[str, int] = {}
    for name in names:
        place = block_of(name)
        if place is not None:
            counts[place[0]] = max(counts.get(place[0], 0), place[1] + 1)
    return counts


def gets_more_bits(block: int, blocks: int) -> bool:
    """Whether it is in the first or last eighth, or each third one between them."""
    eighth = blocks // 8
    return block < eighth or block >= blocks - max(eighth, 1) or (block - eighth) % 3 == 2
