"""The `parameters` text of A1111 and Forge images: written and read in their grammar.

The prompt, a part "Negative prompt: ..." when there is one, and a last line of ``key: value`` fields; a value
with a comma, colon or line feed is a JSON string. Programs around A1111 write JSON objects and lists, too:
they are read whole, though A1111 takes what stands in them for fields. The format is ambiguous where a prompt
imitates it (a line that begins with "Negative prompt:"); the JSON chunk beside it in our own files is not.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

NEGATIVE = "Negative prompt:"
LEAST_FIELDS = 3
"""A last line with fewer fields than this is prompt text."""

LONGEST_JSON = 20_000
"""Characters of a JSON value. An error in one costs time in what follows, and a text may have many."""

LEADING_KEYS = (
    "Steps", "Sampler", "Schedule type", "CFG scale", "Distilled CFG Scale", "Image CFG scale", "Seed",
    "Face restoration", "Size", "Model hash", "Model", "FP8 weight", "VAE hash", "VAE", "Variation seed",
    "Variation seed strength", "Seed resize from", "Denoising strength", "Conditional mask weight",
    "Clip skip", "ENSD", "Token merging ratio", "Token merging ratio hr", "Init image hash", "RNG", "Tiling",
)  # fmt: skip
TRAILING_KEYS = ("Version", "User", "Diffusion in Low Bits", "Module 1", "Module 2", "Module 3")

# A key is looked for only where such characters begin: from anywhere, a long text would take time squared.
_FIELD = re.compile(
    r"""
    (?<! [\w\ /-] ) [\ /-]* (?P<key> \w [\w\ /-]+ ) : \s*
    (?P<value> "(?: [^\\"] | \\. )+" | [^,]* )
    (?: , | $ )
    """,
    re.VERBOSE,
)
_JSON = json.JSONDecoder()


@dataclass(frozen=True)
class Infotext:
    """A text taken apart; field values are the strings as written, quotes resolved.

    Attributes:
        unread: What stands between the fields and is none.
    """

    prompt: str = ""
    negative_prompt: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def write(prompt: str, negative_prompt: str, fields: Mapping[str, Any]) -> str:
    """The text for these prompts and fields, keys in the usual order; fields that are None are left out."""
    parts = [prompt]
    if negative_prompt:
        parts.append(f"{NEGATIVE} {negative_prompt}")
    known = {key: value for key, value in fields.items() if value is not None}
    parts.append(", ".join(_written(key, known[key]) for key in _in_order(known)))
    return "\n".join(parts).strip()


def _written(key: str, value: Any) -> str:
    return key if str(value) == key else f"{key}: {quoted(str(value))}"


def _in_order(fields: Mapping[str, Any]) -> list[str]:
    """Known leading keys, then the others as they came, then those that close the line."""
    middle = [key for key in fields if key not in LEADING_KEYS and key not in TRAILING_KEYS]
    return [
        *(key for key in LEADING_KEYS if key in fields),
        *middle,
        *(key for key in TRAILING_KEYS if key in fields),
    ]


def quoted(value: str) -> str:
    """The value as it may stand in a field: as it is, or as a JSON string if it holds , : or LF.

    Also if it begins with a quote, which would be read as one of these, or has white space around it.
    """
    unsafe = re.search('^"|[,:\n]', value) or value != value.strip()
    return json.dumps(value, ensure_ascii=False) if unsafe else value


def unquoted(value: str) -> str:
    """The inverse of `quoted`; text that only looks quoted stays as it is."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def read(text: str) -> Infotext:
    """Take a text apart. Nothing is an error: text without fields is a prompt."""
    *lines, last = text.strip().split("\n")
    found = list(_fields(last))
    if sum(key != "" for key, _ in found) < LEAST_FIELDS:
        lines, found = [*lines, last], []
    prompt: list[str] = []
    negative: list[str] = []
    reading = prompt
    for line in map(str.strip, lines):
        if line.startswith(NEGATIVE):
            reading, line = negative, line.removeprefix(NEGATIVE).strip()
        reading.append(line)
    fields = {key: unquoted(value) for key, value in found if key}
    unread = tuple(value for key, value in found if not key)
    return Infotext("\n".join(prompt).lstrip("\n"), "\n".join(negative).lstrip("\n"), fields, unread)


def _fields(line: str) -> Iterator[tuple[str, str]]:
    """Keys and values as written; what stands between them comes with an empty key."""
    position = 0
    while match := _FIELD.search(line, position):
        yield from _between(line[position : match.start()])
        start, position = match.start("value"), match.end()
        if line[start : start + 1] in ("{", "["):
            with contextlib.suppress(ValueError, RecursionError):
                length = _JSON.raw_decode(line[start : start + LONGEST_JSON])[1]
                position = max(position, start + length)
        yield match["key"], line[start:position].removesuffix(",")
    yield from _between(line[position:])


def _between(text: str) -> Iterator[tuple[str, str]]:
    unread = text.strip(" ,")
    if unread:
        yield "", unread
