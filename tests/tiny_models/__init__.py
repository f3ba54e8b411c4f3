"""Tiny random models as files, deterministic by seed, for the tests of every plugin that loads or draws.

`TinyFlux` describes one, `files` writes it in the layouts people have, `oracle` makes diffusers' pipeline.
"""

from .files import write_all_in_one, write_parts, write_tokenizers, write_transformer
from .flux import TinyFlux
from .library import library_of

__all__ = [
    "TinyFlux",
    "library_of",
    "write_all_in_one",
    "write_parts",
    "write_tokenizers",
    "write_transformer",
]
