"""Changes of a prompt's text that axes make: search and replace, order of words, LoRA tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import permutations
from math import factorial

MOST_ORDERS = 5040
"""Orders of seven words; eight would be 40,320 pictures."""

NO_NAME = ("", "none")
"""Names of a LoRA that stand for none."""

_TAG = re.compile(r"<(?P<kind>lora|lyco):(?P<name>[^<>:]*)(?P<arguments>(?::[^<>:]*)*)>", re.IGNORECASE)
_STRENGTHS = ("te", "unet")


def orders_of(words: Sequence[str]) -> list[tuple[str, ...]]:
    """All orders of the words, the given one first.

    Raises:
        ValueError: there are too many.
    """
    if factorial(min(len(words), 20)) > MOST_ORDERS:
        raise ValueError(f"{len(words)} words have too many orders; seven are the most")
    return list(permutations(words))


def reordered(prompt: str, words: Sequence[str]) -> str:
    """The prompt with the first occurrence of each word replaced by the words in this order.

    Raises:
        ValueError: a word is not in the prompt, or only within another one's place.
    """
    places: list[tuple[int, int]] = []
    for word in sorted(words, key=len, reverse=True):
        found = (match.span() for match in re.finditer(re.escape(word), prompt))
        free = (span for span in found if all(span[1] <= start or span[0] >= end for start, end in places))
        place = next(free, None) if word else None
        if place is None:
            raise ValueError(f"'{word}' is not in the prompt")
        places.append(place)
    pieces, position = [], 0
    for (start, end), word in zip(sorted(places), words, strict=True):
        pieces += [prompt[position:start], word]
        position = end
    return "".join([*pieces, prompt[position:]])


def with_lora(prompt: str, name: str, replaced: str = "") -> str:
    """The prompt with its LoRA tag naming this file, or with such a tag put at its end.

    Args:
        name: May bring a strength with it: "name:0.8". Empty or "None" leaves a tag that `without_empty_tags`
            takes out.
        replaced: The name of the tag meant, where a prompt has several; else the first one.
    """
    name, _, arguments = name.partition(":")
    found = _find_tag(prompt, replaced)
    if found is None:
        return f"{prompt} <lora:{name}:{arguments or '1'}>".lstrip()
    kept = f":{arguments}" if arguments else found["arguments"]
    return f"{prompt[: found.start()]}<{found['kind']}:{name}{kept}>{prompt[found.end() :]}"


def with_lora_weight(prompt: str, weight: str, name: str = "") -> str:
    """The prompt with another strength in its LoRA tag; named options of the tag stay.

    Raises:
        ValueError: there is no such tag.
    """
    found = _find_tag(prompt, name)
    if found is None:
        raise ValueError(f"the prompt has no <lora:{name or '...'}>")
    arguments = found["arguments"].split(":")[1:]
    named = [a for a in arguments if "=" in a and a.partition("=")[0].strip() not in _STRENGTHS]
    tag = ":".join([found["kind"], found["name"], weight, *named])
    return f"{prompt[: found.start()]}<{tag}>{prompt[found.end() :]}"


def without_empty_tags(prompt: str) -> str:
    """The prompt without LoRA tags that name no file."""
    return _TAG.sub(lambda tag: "" if tag["name"].strip().lower() in NO_NAME else tag[0], prompt).strip()


def lora_names(prompt: str) -> tuple[str, ...]:
    """The files that a prompt's tags name."""
    return tuple(tag["name"] for tag in _TAG.finditer(prompt))


def lora_tags(prompt: str) -> tuple[str, ...]:
    """Its tags as they are written."""
    return tuple(tag[0] for tag in _TAG.finditer(prompt))


def _find_tag(prompt: str, name: str) -> re.Match[str] | None:
    tags = _TAG.finditer(prompt)
    return next((tag for tag in tags if not name or tag["name"].lower() == name.lower()), None)
