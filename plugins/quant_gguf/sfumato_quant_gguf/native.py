"""The compiled kernels of the optional distribution `sfumato-gguf-kernels`, for weights on a CPU."""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

_log = logging.getLogger(__name__)

MOST_TOKENS = 8
"""The products of more than these are quicker through dequantised tiles."""
_LEAST_WEIGHTS_OF_THREAD = 1 << 18  # below, waking a thread costs more than it saves
_LANES_OF_VARIANTS = ("baseline", "AVX2", "AVX-512")


@dataclass(frozen=True)
class _Type:
    number: int  # in the format
    block_size: int
    block_bytes: int


_TYPES: Mapping[str, _Type] = {
    "Q4_0": _Type(2, 32, 18),
    "Q4_1": _Type(3, 32, 20),
    "Q5_0": _Type(6, 32, 22),
    "Q5_1": _Type(7, 32, 24),
    "Q8_0": _Type(8, 32, 34),
    "Q2_K": _Type(10, 256, 84),
    "Q3_K": _Type(11, 256, 110),
    "Q4_K": _Type(12, 256, 144),
    "Q5_K": _Type(13, 256, 176),
    "Q6_K": _Type(14, 256, 210),
    "IQ4_NL": _Type(20, 32, 18),
    "IQ4_XS": _Type(23, 256, 136),
}

_POINTER, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64


class NativeKernels:
    """The shared library, and the threads that share its work.

    Every row is computed by one thread in one order, so that a result does not depend on their number.

    Args:
        library: The shared library.
        variant: 0 for code that every processor runs, 1 for AVX2, 2 for AVX-512; by default the best there is.

    Raises:
        OSError: it is not a library of this platform.
    """

    def __init__(self, library: Path, variant: int | None = None) -> None:
        self._library = ctypes.CDLL(str(library))
        blocks = [_INT, _INT, _POINTER, _SIZE, _POINTER]
        self._to_float32 = self._function("sfumato_gguf_to_float32", blocks)
        self._to_bfloat16 = self._function("sfumato_gguf_to_bfloat16", blocks)
        self._linear = self._function(
            "sfumato_gguf_linear",
            [_INT, _INT, _POINTER, _SIZE, _SIZE, _POINTER, _SIZE, _SIZE, _SIZE, _POINTER],
        )
        self.variant: int = self._library.sfumato_gguf_best_variant() if variant is None else variant
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_size = 0

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
        layout = _TYPES.get(type_name)
        function = {torch.float32: self._to_float32, torch.bfloat16: self._to_bfloat16}.get(out.dtype)
        if layout is None or function is None or not _fit(packed) or not _fit(out):
            return False
        blocks = out.numel() // layout.block_size
        if blocks * layout.block_size != out.numel() or blocks * layout.block_bytes != packed.numel():
            raise ValueError(f"{packed.numel()} bytes of {type_name} are not {out.numel()} weights")
        source, target = packed.data_ptr(), out.data_ptr()

        def part(first: int, last: int) -> None:
            function(
                self.variant,
                layout.number,
                source + first * layout.block_bytes,
                (last - first) * layout.block_size,
                target + first * layout.block_size * out.itemsize,
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
        layout, (tokens, inputs) = _TYPES.get(type_name), x.shape
        if layout is None or not 1 <= tokens <= MOST_TOKENS or not _fit(packed) or x.device.type != "cpu":
            return False
        rows, columns = shape
        if columns % layout.block_size:
            return False
        row_bytes = columns // layout.block_size * layout.block_bytes
        if rows * row_bytes != packed.numel() or inputs != columns or out.shape != (tokens, rows):
            raise ValueError(
                f"{packed.numel()} bytes of {type_name} as {rows} x {columns} do not turn "
                f"{list(x.shape)} into {list(out.shape)}"
            )
        numbers = x.detach().to(torch.float32).contiguous()
        direct = out.dtype == torch.float32 and _fit(out)
        sums = out if direct else torch.empty(tokens, rows)

        def part(first: int, last: int) -> None:
            self._linear(
                self.variant, layout.number, packed.data_ptr(), rows, columns,
                numbers.data_ptr(), tokens, first, last, sums.data_ptr(),
            )  # fmt: skip

        self._share(part, rows, columns)
        if bias is not None:
            sums += bias.detach()
        if not direct:
            out.copy_(sums)
        return True

    def _function(self, name: str, arguments: Sequence[type]) -> Callable[..., int]:
        function = getattr(self._library, name)
        function.argtypes = list(arguments)
        function.restype = _INT
        return function  # type: ignore[no-any-return]

    def _share(self, part: Callable[[int, int], None], items: int, item_weights: int) -> None:
        """Call `part` for ranges of the items, on as many threads as torch uses and the work is worth."""
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
        with self._lock:
            if self._pool is None or self._pool_size < count:
                self._pool = ThreadPoolExecutor(count, thread_name_prefix="gguf-kernels")
                self._pool_size = count
            return self._pool


def _fit(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.is_contiguous()


@functools.cache
def native_kernels() -> NativeKernels | None:
    """The kernels, if the distribution is installed and runs here."""
    try:
        library = importlib.import_module("sfumato_gguf_kernels").LIBRARY
        if library is None:
            raise ImportError("sfumato_gguf_kernels has no library for this platform")
        kernels = NativeKernels(library)
    except (ImportError, OSError) as error:
        _log.debug("GGUF weights are computed with by torch alone: %s", error)
        return None
    _log.debug("GGUF weights are computed with by compiled kernels: %s", _LANES_OF_VARIANTS[kernels.variant])
    return kernels
