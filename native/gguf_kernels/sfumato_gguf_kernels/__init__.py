"""Where the compiled kernels lie; `sfumato_quant_gguf.native` calls them."""

from __future__ import annotations

from pathlib import Path

LIBRARY = next(
    (path for name in ("kernels.so", "kernels.dll") if (path := Path(__file__).with_name(name)).exists()),
    None,
)
"""The shared library of this platform."""
