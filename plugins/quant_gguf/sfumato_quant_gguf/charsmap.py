"""SentencePiece's map of characters, checked: the library that uses it panics where one is damaged.

Four bytes tell the size of a trie; the trie, a double array as darts-clone has it, 32-bit units; then the
texts that characters are replaced with, in UTF-8, each with a zero behind it. All is little endian.
"""

from __future__ import annotations

import struct

_LEAF, _HAS_LEAF, _WIDE = 1 << 31, 1 << 8, 1 << 9


def is_sound(charsmap: bytes) -> bool:
    """Whether no walk through the trie leaves it, and all that it tells are beginnings of texts."""
    if len(charsmap) < 8:
        return False
    (size,) = struct.unpack_from("<I", charsmap)
    if size % 4 or not 0 < size < len(charsmap) - 4:
        return False
    texts = charsmap[4 + size :]
    try:
        texts.decode()
    except UnicodeDecodeError:
        return False
    return _is_closed(struct.unpack_from(f"<{size // 4}I", charsmap, 4), texts)


def _is_closed(units: tuple[int, ...], texts: bytes) -> bool:
    for place, unit in enumerate(units):
        if unit & _LEAF:
            continue
        below = place ^ ((unit >> 10) << (8 if unit & _WIDE else 0))
        if below | 0xFF >= len(units):  # where the units for each next byte are
            return False
        if unit & _HAS_LEAF:
            text = units[below] & ~_LEAF
            if text >= len(texts) or texts[text] & 0xC0 == 0x80:  # within a character
                return False
    return True
