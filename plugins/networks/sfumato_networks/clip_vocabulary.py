"""CLIP's vocabulary as OpenAI published it, which no Stable Diffusion checkpoint holds. Imports no torch.

The file lists what byte pairs merge to, the most frequent first; the vocabulary follows from it (Radford et
al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2). OpenCLIP has the same one.
"""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

MERGES_FILE = "bpe_simple_vocab_16e6.txt.gz"
FOLDER = Path(__file__).parent / "vocabularies" / "clip"
"""Where this package keeps it, under the licence of OpenAI's CLIP, which lies beside it."""

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
SIZE = 49408

Merge = tuple[str, str]


def read_merges(file: Path) -> list[Merge]:
    """The merges that CLIP uses: the first of those in the file.

    Raises OSError or EOFError when it cannot be unpacked, ValueError when it is not such a file.
    """
    wanted = SIZE - 2 * 256 - 2
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        merges = [_merge(line) for line in islice(lines, 1, 1 + wanted)]
    if len(merges) < wanted:
        raise ValueError(f"it lists {len(merges)} merges of {wanted}")
    return merges


def vocabulary(merges: list[Merge]) -> dict[str, int]:
    """The id of each token: single bytes, the same at the end of a word, what merges make, the two ends."""
    letters = byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges), START, END]
    return {token: number for number, token in enumerate(tokens)}


def byte_letters() -> list[str]:
    """A visible letter for each byte: itself where it is one; then those for the others, from U+0100 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in visible] + [chr(256 + number) for number in range(256 - len(visible))]


def _merge(line: str) -> Merge:
    first, second = line.split()
    return first, second
