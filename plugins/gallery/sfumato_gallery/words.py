"""Texts as words to search for, alike for every database.

A text becomes lower-case words without accents, one blank between them; scripts without blanks give a word
a character. A search finds words that begin with what is asked for, and phrases of words in a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

BORDER = "\ue000"
"""A private character between texts: a word to the full-text index, and never one of a search."""

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f])")


def words_of(text: str) -> list[str]:
    """The words of a text in order; what is no letter or digit parts them."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _WORD.findall(_UNSPACED.sub(r" \1 ", plain))


def searchable(texts: Iterable[str]) -> str:
    """All texts' words, each with a blank before it, so that ``LIKE '% red%'`` finds where one begins.

    No phrase is found across two texts.
    """
    return "".join(f" {word}" for text in texts for word in (*words_of(text), BORDER))
