"""The compiled kernels of the optional distribution `sfumato-gguf-kernels`, for weights on a CPU."""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks.layout import block_type

_log = logging.getLogger(__name__)

MOST_TOKENS = 8
"""The products of more than these are quicker through dequantised tiles."""
_LEAST_WEIGHTS_OF_THREAD = 1 << 18  # below, waking a thread costs more than it saves
_VARIANTS = ("baseline", "AVX2", "AVX-512")


_NUMBERS: Mapping[str, int] = {
    **{"Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8},
    **{"Q2_K": 10, "Q3_K": 11, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14, "IQ4_NL": 20, "IQ4_XS": 23},
}
"""Types that there are kernels for, as the format numbers them."""

_COMPUTED_IN_FLOAT32 = (torch.float32, torch.bfloat16, torch.float16)
_POINTER, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64


class NativeKernels:
    """The shared library, and the threads that share its work.

    Every row is computed by one thread in one order, so that a result does not depend on their number.

    Args:
        library: The shared library.
        variant: 0 for code that every processor runs, 1 for AVX2, 2 for AVX-512; by default the best.

    Raises:
        OSError: it is not a library of this platform, or of another version of the kernels.
    """

    def __init__(self, library: Path, variant: int | None = None) -> None:
        self._library = ctypes.CDLL(str(library))
        blocks = [_INT, _INT, _POINTER, _SIZE, _POINTER]
        self._to_float32 = self._function("sfumato_gguf_to_float32", blocks)
        self._to_bfloat16 = self._function("sfumato_gguf_to_bfloat16", blocks)
        self._linear = self._function(
            "sfumato_gguf_linear",
            [_INT, _INT, _POINTER, _SIZE, _SIZE, _POINTER, *4 * [_SIZE], _POINTER],
        )
        best = self._function("sfumato_gguf_best_variant", [])
        self.variant: int = best() if variant is None else variant
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_owner = 0, 0  # process, and threads

    def dequantise(self, type_name: str, packed: Tensor, out: Tensor) -> bool:
        """Write the weights of whole blocks.

        Args:
            type_name: As the format calls it.
            packed: uint8 [bytes], contiguous.
            out: float32 or bfloat16 [weights], contiguous; rounded to nearest, ties to even.

        Returns:
            Whether there is a kernel for these; nothing is written otherwise.

        Raises:
            ValueError: `out` has another number of weights than the blocks.
        """
        number = _NUMBERS.get(type_name)
        function = {torch.float32: self._to_float32, torch.bfloat16: self._to_bfloat16}.get(out.dtype)
        if number is None or function is None or not _fit(packed) or not _fit(out):
            return False
        layout = block_type(type_name)
        blocks = out.numel() // layout.block_size
        if blocks * layout.block_size != out.numel() or blocks * layout.block_bytes != packed.nbytes:
            raise ValueError(f"{packed.nbytes} bytes of {type_name} are not {out.numel()} weights")

        def part(first: int, last: int) -> None:
            function(
                self.variant,
                number,
                packed.data_ptr() + first * layout.block_bytes,
                (last - first) * layout.block_size,
                out.data_ptr() + first * layout.block_size * out.itemsize,
            )

        self._share(part, blocks, layout.block_size)
        return True

    def linear(
        self,
        type_name: str,
        packed: Tensor,
        shape: Sequence[int],
        x: Tensor,
        bias: Tensor | None,
        out: Tensor,
    ) -> bool:
        """Write ``x W^T + bias`` for a few tokens, W taken apart as it is read; sums are in float32.

        Args:
            type_name: As the format calls it.
            packed: uint8 [bytes], contiguous.
            shape: Outputs and inputs of the weight.
            x: [tokens, inputs] of a floating-point type.
            bias: [outputs].
            out: [tokens, outputs] of a floating-point type.

        Returns:
            Whether there is a kernel for these, and they are few tokens; nothing is written otherwise.

        Raises:
            ValueError: the sizes do not fit.
        """
        number, (tokens, inputs) = _NUMBERS.get(type_name), x.shape
        if number is None or not 1 <= tokens <= MOST_TOKENS or x.dtype not in _COMPUTED_IN_FLOAT32:
            return False
        (rows, columns), layout = shape, block_type(type_name)
        if columns % layout.block_size or x.device.type != "cpu" or not _fit(packed):
            return False
        if layout.size_bytes(rows * columns) != packed.nbytes or (inputs, *out.shape) != (
            columns,
            tokens,
            rows,
        ):
            raise ValueError(
                f"{packed.nbytes} bytes of {type_name} as {rows} x {columns} do not turn "
                f"{list(x.shape)} into {list(out.shape)}"
            )
        numbers = _spread(x.detach())
        sums = out if out.dtype == torch.float32 and _fit(out) else _float32(tokens, rows)

        def part(first: int, last: int) -> None:
            self._linear(
                *(self.variant, number, packed.data_ptr(), rows, columns),
                *(numbers.data_ptr(), numbers.stride(0), tokens, first, last, sums.data_ptr()),
            )

        self._share(part, rows, columns)
        if bias is not None:
            sums += bias.detach()
        if sums is not out:
            out.copy_(sums)
        return True

    def _function(self, name: str, arguments: Sequence[type]) -> Callable[..., int]:
        function: Callable[..., int] | None = getattr(self._library, name, None)
        if function is None:
            raise OSError(f"{self._library._name} is of another version of the kernels: it has no {name}")
        function.argtypes, function.restype = list(arguments), _INT  # type: ignore[attr-defined]
        return function

    def _share(self, part: Callable[[int, int], None], items: int, item_weights: int) -> None:
        """Call `part` for ranges of the items, on as many threads as torch uses and the work is worth.

        `part` has to hold the tensors that it works on: when the caller is interrupted, threads go on.
        """
        threads = min(torch.get_num_threads(), items * item_weights // _LEAST_WEIGHTS_OF_THREAD, items)
        if threads <= 1:
            part(0, items)
            return
        bounds = [items * number // threads for number in range(threads + 1)]
        pool = self._threads(threads - 1)
        others = [pool.submit(part, *bounds[number : number + 2]) for number in range(1, threads)]
        part(0, bounds[1])
        for other in others:
            other.result()

    def _threads(self, count: int) -> ThreadPoolExecutor:
        """At least so many, of this process: a process made by `fork` has none of its maker's."""
        with self._lock:
            if self._pool is None or self._pool_owner != (os.getpid(), max(count, self._pool_owner[1])):
                self._pool = ThreadPoolExecutor(count, thread_name_prefix="gguf-kernels")
                self._pool_owner = os.getpid(), count
            return self._pool


def _spread(x: Tensor) -> Tensor:
    """As float32, each token's numbers a little aside of the previous one's, modulo 4096 bytes.

    A width that is a multiple of that, as many are, would send the same columns of all of them to the same
    few places of a processor's first-level cache.
    """
    tokens, inputs = x.shape
    room = _float32(tokens, inputs + (272 - inputs) % 1024)
    return room[:, :inputs].copy_(x)


def _float32(rows: int, columns: int) -> Tensor:
    """Memory for the kernels, whatever torch's defaults for new tensors are."""
    return torch.empty(rows, columns, dtype=torch.float32, device="cpu")


def _fit(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.is_contiguous()


@functools.cache
def native_kernels() -> NativeKernels | None:
    """The kernels, if the distribution is installed and runs here."""
    try:
        library = importlib.import_module("sfumato_gguf_kernels").LIBRARY
    except ImportError as error:
        _log.debug("GGUF weights are computed with by torch alone: %s", error)
        return None
    try:
        if library is None:
            raise OSError("sfumato-gguf-kernels has no library for this platform")
        kernels = NativeKernels(library)
    except OSError as error:
        _log.warning("GGUF weights are computed with by torch alone, slower: %s. Install it anew.", error)
        return None
    _log.debug("GGUF weights are computed with by compiled kernels: %s", _VARIANTS[kernels.variant])
    return kernels
