"""File and folder names from A1111's patterns, ``[seed]-[prompt_words]``, harmless on every file system.

A placeholder in square brackets gives what it gives in A1111, spaces and all; one in curly brackets the same
reduced to letters, numbers and hyphens. Arguments follow in angle brackets: ``[datetime<%Y-%m-%d><UTC>]``.
What a request has no value for leaves nothing, nor the text before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from unicodedata import category, normalize

from sfumato_pictures.placeholders import ALIASES, PLACEHOLDERS, placeholder

LONGEST_NAME = 120
"""In characters: Windows counts the folders before it too."""
LONGEST_IN_BYTES = 239
"""File systems take 255; this leaves room for the number, the suffix and an underscore."""

_PATTERN = re.compile(r"\[(?P<square>[^\[\]]*)\]|\{(?P<curly>[^{}]*)\}")
_NAME = re.compile(r"\s*(\w*)\s*((?:<[^<>]*>)*)\s*")
_ARGUMENT = re.compile(r"<([^<>]*)>")
_SEPARATORS = re.compile(r"[/\\](?![^\[\]{}]*[\]}])")
"""Slashes, but not those within a placeholder."""
_FORBIDDEN = re.compile(r'[#<>:"/\\|?*]')
"""Besides what file systems refuse, the sign that ends a path in an address."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(?=\s*(\.|$))", re.IGNORECASE)


def check_pattern(pattern: str) -> str:
    """The pattern itself; raises `ValueError` for a placeholder that there is not."""
    for found in _PATTERN.finditer(pattern):
        name, _ = _taken_apart(found)
        if name not in PLACEHOLDERS and name not in ALIASES:
            known = ", ".join(f"[{known}]" for known in PLACEHOLDERS)
            raise ValueError(f"unknown placeholder {found[0]}; known: {known}")
    return pattern


def render(pattern: str, values: Mapping[str, object]) -> str:
    """A file name without number and suffix; may be empty.

    Whatever the values hold, the name has no separator, control character or reserved word in it, begins with
    no dot or hyphen, ends with no dot or space, and is not too long.

    Args:
        values: What is known of the picture, see `placeholders.PLACEHOLDERS`.
    """
    return harmless(_filled(pattern, values))


def render_folder(pattern: str, values: Mapping[str, object]) -> PurePosixPath:
    """A folder below another one: parts of the pattern between slashes, each as harmless as a file name."""
    parts = (harmless(_filled(part, values)) for part in _SEPARATORS.split(pattern))
    return PurePosixPath(*filter(None, parts))


def harmless(text: str) -> str:
    """The text as a name for a file or folder on Linux, macOS and Windows; may be empty."""
    kept = "".join(map(_kept, normalize("NFC", _FORBIDDEN.sub("_", text))))
    short = kept.lstrip(" .-")[:LONGEST_NAME].encode()[:LONGEST_IN_BYTES].decode(errors="ignore").rstrip(" .")
    return f"_{short}" if _RESERVED.match(short) else short


def _kept(character: str) -> str:
    """White space is a space; what is not seen, unassigned or private is left out."""
    if character.isspace():
        return " "
    return "" if category(character).startswith("C") else character


def _filled(pattern: str, values: Mapping[str, object]) -> str:
    """The pattern with each placeholder's value; the text before an empty one goes with it."""
    filled, position = "", 0
    for found in _PATTERN.finditer(pattern):
        text, position = pattern[position : found.start()], found.end()
        value = _value(found, values)
        if value is not None:
            filled += text + value
    return filled + pattern[position:]


def _value(found: re.Match[str], values: Mapping[str, object]) -> str | None:
    name, arguments = _taken_apart(found)
    if found["curly"] is None:
        return placeholder(name, arguments, values)
    value = placeholder("prompt_spaces" if name == "prompt" else name, arguments, values)
    return value and _reduced(value)


def _taken_apart(found: re.Match[str]) -> tuple[str, tuple[str, ...]]:
    name = _NAME.fullmatch(found["square"] if found["square"] is not None else found["curly"])
    if name is None:
        return "", ()
    return name[1].lower(), tuple(_ARGUMENT.findall(name[2]))


def _reduced(text: str) -> str:
    """Letters and numbers of any script, ``-``, ``_`` and ``.``; hyphens for all else."""
    safe = "".join(character if _is_plain(character) else " " for character in normalize("NFC", text))
    return "-".join(safe.split())


def _is_plain(character: str) -> bool:
    """Letters, the marks that some scripts write on them, numbers, and three signs."""
    return character in "-_." or category(character)[0] in "LMN"
