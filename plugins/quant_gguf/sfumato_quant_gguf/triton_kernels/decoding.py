"""GGUF's blocks as float32 numbers, in Triton: what `blocks` does in torch.

A block is made of groups of numbers that share a scale. Every function here takes tiles that broadcast to
[blocks, groups, lanes], and does what belongs to a group once for it:

    block: pointers to the first byte of each block
    group: the number of the group in its block
    lane: the number's place in its group
    mask: False beyond the end; nothing is read there

Bytes are read one by one, since blocks of 18 or 210 bytes are not aligned. Products that something is added
to are exact in float32, so that it makes no difference whether a compiler contracts the two.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

GROUP_SIZES = {
    **dict.fromkeys(("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q4_K", "Q5_K", "IQ4_XS"), 32),
    **dict.fromkeys(("Q2_K", "Q3_K", "Q6_K"), 16),
}
"""How many numbers a group has, by the name of the type."""

_NONLINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def _as_word(values: tuple[int, ...]) -> int:
    return int.from_bytes((value & 0xFF for value in values), "little", signed=True)


_NONLINEAR_LOW = tl.constexpr(_as_word(_NONLINEAR[:8]))
_NONLINEAR_HIGH = tl.constexpr(_as_word(_NONLINEAR[8:]))


@triton.jit
def _byte(pointer, mask):
    return tl.load(pointer, mask=mask, other=0).to(tl.int32)


@triton.jit
def _signed_byte(pointer, mask):
    return ((_byte(pointer, mask) + 128) & 255) - 128


@triton.jit
def _half(pointer, mask):
    """float16 at any address."""
    word = _byte(pointer, mask) | (_byte(pointer + 1, mask) << 8)
    return word.to(tl.uint16).to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def _nibble(quants, lane, mask):
    """The first half of the numbers lies in the low four bits, the second in the high ones."""
    return (_byte(quants + lane % 16, mask) >> (4 * (lane // 16))) & 15


@triton.jit
def _bit_of_word(word, lane, mask):
    return (_byte(word + lane // 8, mask) >> (lane % 8)) & 1


@triton.jit
def _nonlinear(index):
    """The table of the types IQ4, which lies in two words of eight signed bytes."""
    word = tl.where(index < 8, _NONLINEAR_LOW, _NONLINEAR_HIGH).to(tl.int64)
    byte = (word >> (8 * (index % 8)).to(tl.int64)).to(tl.int32) & 255
    return ((byte + 128) & 255) - 128


@triton.jit
def _decode_small(TYPE: tl.constexpr, block, lane, mask, lane_mask):
    """Blocks of 32 numbers, with one scale."""
    scale = _half(block, mask)
    if TYPE == "Q4_0":
        numbers = scale * (_nibble(block + 2, lane, lane_mask) - 8).to(tl.float32)
    elif TYPE == "Q4_1":
        numbers = scale * _nibble(block + 4, lane, lane_mask).to(tl.float32) + _half(block + 2, mask)
    elif TYPE == "Q5_0":
        high = _bit_of_word(block + 2, lane, lane_mask) << 4
        numbers = scale * ((_nibble(block + 6, lane, lane_mask) | high) - 16).to(tl.float32)
    elif TYPE == "Q5_1":
        high = _bit_of_word(block + 4, lane, lane_mask) << 4
        quants = _nibble(block + 8, lane, lane_mask) | high
        numbers = scale * quants.to(tl.float32) + _half(block + 2, mask)
    elif TYPE == "Q8_0":
        numbers = scale * _signed_byte(block + 2 + lane, lane_mask).to(tl.float32)
    else:
        tl.static_assert(TYPE == "IQ4_NL")
        numbers = scale * _nonlinear(_nibble(block + 2, lane, lane_mask)).to(tl.float32)
    return numbers


@triton.jit
def _two_bits(quants, group, lane, mask):
    """Of Q2_K and Q3_K: four numbers in a byte, which are 32 numbers apart."""
    byte = _byte(quants + group // 8 * 32 + group % 2 * 16 + lane, mask)
    return (byte >> (group % 8 // 2 * 2)) & 3


@triton.jit
def _decode_q2_k(block, group, lane, mask, lane_mask):
    scales = _byte(block + group, mask)
    scale = _half(block + 80, mask) * (scales & 15).to(tl.float32)
    offset = _half(block + 82, mask) * (scales >> 4).to(tl.float32)
    return scale * _two_bits(block + 16, group, lane, lane_mask).to(tl.float32) - offset


@triton.jit
def _decode_q3_k(block, group, lane, mask, lane_mask):
    low = (_byte(block + 96 + group % 8, mask) >> (group // 8 * 4)) & 15
    high = (_byte(block + 104 + group % 4, mask) >> (group // 4 * 2)) & 3
    scale = _half(block + 108, mask) * ((low | (high << 4)) - 32).to(tl.float32)
    third = (_byte(block + group % 2 * 16 + lane, lane_mask) >> (group // 2)) & 1
    quants = _two_bits(block + 32, group, lane, lane_mask) - 4 + 4 * third
    return scale * quants.to(tl.float32)


@triton.jit
def _scale_and_offset(block, group, mask):
    """Of Q4_K and Q5_K: six bits each; those of the last four groups lie in two places."""
    last = group // 4
    first = _byte(block + 4 + group % 4, mask)
    second = _byte(block + 8 + group % 4, mask)
    third = _byte(block + 12 + group % 4, mask)
    scale = tl.where(last == 0, first & 63, (third & 15) | (first >> 6 << 4))
    offset = tl.where(last == 0, second & 63, (third >> 4) | (second >> 6 << 4))
    return (
        _half(block, mask) * scale.to(tl.float32),
        _half(block + 2, mask) * offset.to(tl.float32),
    )


@triton.jit
def _paired_nibble(quants, group, lane, mask):
    """Two groups of 32 numbers one after another share their bytes."""
    return (_byte(quants + group // 2 * 32 + lane, mask) >> (group % 2 * 4)) & 15


@triton.jit
def _decode_q4_k(block, group, lane, mask, lane_mask):
    scale, offset = _scale_and_offset(block, group, mask)
    return scale * _paired_nibble(block + 16, group, lane, lane_mask).to(tl.float32) - offset


@triton.jit
def _decode_q5_k(block, group, lane, mask, lane_mask):
    scale, offset = _scale_and_offset(block, group, mask)
    high = (_byte(block + 16 + lane, lane_mask) >> group) & 1
    quants = _paired_nibble(block + 48, group, lane, lane_mask) | (high << 4)
    return scale * quants.to(tl.float32) - offset


@triton.jit
def _decode_q6_k(block, group, lane, mask, lane_mask):
    half, quarter, column = group // 8, group % 8 // 2, group % 2 * 16 + lane
    low = (_byte(block + half * 64 + quarter % 2 * 32 + column, lane_mask) >> (quarter // 2 * 4)) & 15
    high = (_byte(block + 128 + half * 32 + column, lane_mask) >> (quarter * 2)) & 3
    scale = _half(block + 208, mask) * _signed_byte(block + 192 + group, mask).to(tl.float32)
    return scale * ((low | (high << 4)) - 32).to(tl.float32)


@triton.jit
def _decode_iq4_xs(block, group, lane, mask, lane_mask):
    low = (_byte(block + 4 + group // 2, mask) >> (group % 2 * 4)) & 15
    high = (_byte(block + 2 + group // 4, mask) >> (group % 4 * 2)) & 3
    scale = _half(block, mask) * ((low | (high << 4)) - 32).to(tl.float32)
    return scale * _nonlinear(_nibble(block + 8 + group * 16, lane, lane_mask)).to(tl.float32)


@triton.jit
def decode(TYPE: tl.constexpr, block, group, lane, mask):
    """The numbers of a tile, float32 [blocks, groups, lanes]; ``mask`` has one lane."""
    lane_mask = mask & (lane >= 0)
    if TYPE == "Q2_K":
        numbers = _decode_q2_k(block, group, lane, mask, lane_mask)
    elif TYPE == "Q3_K":
        numbers = _decode_q3_k(block, group, lane, mask, lane_mask)
    elif TYPE == "Q4_K":
        numbers = _decode_q4_k(block, group, lane, mask, lane_mask)
    elif TYPE == "Q5_K":
        numbers = _decode_q5_k(block, group, lane, mask, lane_mask)
    elif TYPE == "Q6_K":
        numbers = _decode_q6_k(block, group, lane, mask, lane_mask)
    elif TYPE == "IQ4_XS":
        numbers = _decode_iq4_xs(block, group, lane, mask, lane_mask)
    else:
        numbers = _decode_small(TYPE, block, lane, mask, lane_mask)
    return numbers
