"""Text as files and tokenizers can carry it."""

from __future__ import annotations


def writable(text: str) -> str:
    """The text without what no file format or tokenizer can hold.

    NUL ends a field, and lone surrogates (undecodable bytes, as file names may have) are no characters.
    """
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
