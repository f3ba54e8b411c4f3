"""The kernels themselves: blocks to plain numbers, and products of blocks with few tokens.

All tiles are of 256 numbers along a row: one block of the K types, eight of the others.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
import triton
import triton.language as tl

from sfumato_quant_gguf.triton_kernels.decoding import decode

TILE = 256

_DEQUANTISING = [
    triton.Config({"TILES": 4}, num_warps=4),
    triton.Config({"TILES": 8}, num_warps=4),
    triton.Config({"TILES": 16}, num_warps=8),
]
_TRIALS = 9


def _milliseconds(call: Callable[[], object], quantiles: Sequence[float]) -> list[float]:
    """How long a call takes; Triton's own measurement takes 256 MB, which a full device has not."""
    times = []
    for _ in range(_TRIALS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return [sorted(times)[round(quantile * (_TRIALS - 1))] for quantile in quantiles]


def _tuned(configs: list[Any]) -> Any:
    """Chooses by trying them once for a type of blocks, and keeps the choice on disk.

    Nothing but a copy of numbers is tuned: what is summed up would differ by rounding with the choice, and so
    between machines. Triton's interpreter has no clock.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    choices = configs[:1] if interpreted else configs
    return triton.autotune(choices, key=["TYPE"], do_bench=_milliseconds, cache_results=True)


@triton.jit
def _places(first_block, BLOCKS: tl.constexpr, GROUPS: tl.constexpr, GROUP_SIZE: tl.constexpr):
    """The numbers of the blocks of a tile, of groups in their blocks, and of lanes: [1, groups, lanes]."""
    place = tl.arange(0, BLOCKS * GROUPS)[None, :, None]
    return first_block + place // GROUPS, place % GROUPS, tl.arange(0, GROUP_SIZE)[None, None, :]


@_tuned(_DEQUANTISING)
@triton.jit
def dequantise_kernel(
    packed,
    out,
    blocks,
    TYPE: tl.constexpr,
    BLOCK_BYTES: tl.constexpr,
    BLOCKS: tl.constexpr,
    GROUPS: tl.constexpr,
    GROUP_SIZE: tl.constexpr,
    TILES: tl.constexpr,
):
    """TILES tiles of [blocks, BLOCK_BYTES] into out [blocks * GROUPS * GROUP_SIZE], a program each."""
    first = tl.program_id(0).to(tl.int64) * (TILES * BLOCKS)
    first_blocks = first + tl.arange(0, TILES)[:, None, None] * BLOCKS
    block, group, lane = _places(first_blocks, BLOCKS, GROUPS, GROUP_SIZE)
    mask = block < blocks
    numbers = decode(TYPE, packed + block * BLOCK_BYTES, group, lane, mask)
    place = (block * GROUPS + group) * GROUP_SIZE + lane
    tl.store(out + place, numbers.to(out.dtype.element_ty), mask=mask & (lane >= 0))


@triton.jit
def linear_of_one_kernel(
    packed,
    x,
    bias,
    out,
    outputs,
    row_blocks,
    TYPE: tl.constexpr,
    BLOCK_BYTES: tl.constexpr,
    BLOCKS: tl.constexpr,
    GROUPS: tl.constexpr,
    GROUP_SIZE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    ROWS: tl.constexpr,
):
    """x [inputs] by ROWS rows, which are summed up in float32, a program each; gives out [outputs]."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None, None]
    sums = tl.zeros((ROWS, BLOCKS * GROUPS, GROUP_SIZE), tl.float32)
    for first in range(0, row_blocks, BLOCKS):
        block, group, lane = _places(first, BLOCKS, GROUPS, GROUP_SIZE)
        inside = block < row_blocks
        pointers = packed + (row * row_blocks + block) * BLOCK_BYTES
        numbers = decode(TYPE, pointers, group, lane, inside & (row < outputs))
        inputs = x + (block * GROUPS + group) * GROUP_SIZE + lane
        sums += numbers * tl.load(inputs, mask=inside & (lane >= 0), other=0.0).to(tl.float32)
    result = tl.sum(tl.sum(sums, axis=2), axis=1)
    at = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    if HAS_BIAS:
        result += tl.load(bias + at, mask=at < outputs, other=0.0).to(tl.float32)
    tl.store(out + at, result.to(out.dtype.element_ty), mask=at < outputs)


@triton.jit
def linear_of_few_kernel(
    packed,
    x,
    bias,
    out,
    tokens,
    outputs,
    row_blocks,
    TYPE: tl.constexpr,
    BLOCK_BYTES: tl.constexpr,
    BLOCKS: tl.constexpr,
    GROUPS: tl.constexpr,
    GROUP_SIZE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    TOKENS: tl.constexpr,
    ROWS: tl.constexpr,
):
    """x [tokens, inputs] with at most TOKENS (16) tokens by ROWS rows; gives out [tokens, outputs]."""
    INPUTS: tl.constexpr = BLOCKS * GROUPS * GROUP_SIZE
    inputs = row_blocks * GROUPS * GROUP_SIZE
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None, None]
    token = tl.arange(0, TOKENS)[None, :]
    sums = tl.zeros((ROWS, TOKENS), tl.float32)
    for first in range(0, row_blocks, BLOCKS):
        block, group, lane = _places(first, BLOCKS, GROUPS, GROUP_SIZE)
        pointers = packed + (row * row_blocks + block) * BLOCK_BYTES
        numbers = decode(TYPE, pointers, group, lane, (block < row_blocks) & (row < outputs))
        column = first * GROUPS * GROUP_SIZE + tl.arange(0, INPUTS)[:, None]
        known = (token < tokens) & (column < inputs)
        states = tl.load(x + token * inputs + column, mask=known, other=0.0)
        weights = tl.reshape(numbers.to(x.dtype.element_ty), (ROWS, INPUTS))
        sums = tl.dot(weights, states, sums, input_precision="ieee")
    at = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    if HAS_BIAS:
        sums += tl.load(bias + at, mask=at < outputs, other=0.0).to(tl.float32)
    tl.store(
        out + token * outputs + at, sums.to(out.dtype.element_ty), mask=(token < tokens) & (at < outputs)
    )
