"""Random prompts: well-formed ones that know what they mean, and any others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

TextAt = Callable[[int, int], str]
"""The text in force at a step, counted from 1, of so many steps."""


@dataclass(frozen=True)
class Meant:
    """A prompt and what it must mean."""

    source: str
    at: TextAt


def _words(text: str) -> Meant:
    return Meant(text, lambda step, steps: text)


def _round(content: Meant, weight: str) -> Meant:
    return Meant(f"({content.source}{weight})", lambda step, steps: f"({content.at(step, steps)}{weight})")


def _scheduled(before: Meant, after: Meant, step: int) -> Meant:
    return Meant(
        f"[{before.source}:{after.source}:{step}]",
        lambda now, steps: (before if now <= step else after).at(now, steps),
    )


def _halfway(before: Meant, after: Meant) -> Meant:
    return Meant(
        f"[{before.source}:{after.source}:0.5]",
        lambda now, steps: (before if now <= steps // 2 else after).at(now, steps),
    )


def _alternation(options: list[Meant]) -> Meant:
    return Meant(
        f"[{'|'.join(option.source for option in options)}]",
        lambda now, steps: options[(now - 1) % len(options)].at(now, steps),
    )


def _joined(contents: list[Meant]) -> Meant:
    return Meant(
        "".join(content.source for content in contents),
        lambda step, steps: "".join(content.at(step, steps) for content in contents),
    )


WORDS = st.sampled_from(["a", "b c", ", ", "", r"\(", r"\]", r"\\", "0.5", "\n"]).map(_words)

WELL_FORMED = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.builds(_round, inner, st.sampled_from(["", ":1.2", ": .5 "])),
        st.builds(_scheduled, inner, inner, st.integers(0, 12)),
        st.builds(_halfway, inner, inner),
        st.builds(_alternation, st.lists(inner, min_size=2, max_size=4)),
        st.builds(_joined, st.lists(inner, max_size=3)),
    ),
    max_leaves=12,
)

PIECES = (*"()[]:|\\ ab.,09<>=\n", " AND ", " BREAK ", "<lora:x:1>", ":1.2)", ":3]", ":.5]")

ANY = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.text(max_size=20),
    WELL_FORMED.map(lambda prompt: prompt.source),
)
"""Prompts of every sort, most of them broken."""
