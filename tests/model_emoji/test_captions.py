"""What the captions of a picture may and must say."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.captions import STYLE_WORDS, Subject, article, caption, training_caption
from training.colours import BACKGROUNDS, COLOURS

NAMES = st.sampled_from([("car", "automobile"), ("apple",), ("cat face",), ("red panda",), ("umbrella",)])
SUBJECTS = st.builds(
    Subject,
    names=NAMES,
    style=st.sampled_from(["flat", "noto"]),
    native=st.sampled_from([None, "red"]),
    colour=st.sampled_from([None, *COLOURS]),
    background=st.sampled_from([None, *BACKGROUNDS]),
)
SEEDS = st.integers(0, 10_000)


def says(text: str, word: str) -> bool:
    return re.search(rf"\b{word}\b", text) is not None


@given(SUBJECTS, SEEDS)
def test_a_given_colour_and_background_are_always_named(subject: Subject, seed: int) -> None:
    text = caption(subject, random.Random(seed))
    for word in filter(None, (subject.colour, subject.background)):
        assert says(text, word)


@given(SUBJECTS, SEEDS)
def test_only_the_default_style_goes_unnamed(subject: Subject, seed: int) -> None:
    text = caption(subject, random.Random(seed))
    for style, words in STYLE_WORDS.items():
        named = any(says(text, word) for word in words)
        assert not named or style == subject.style
        assert named or style != "noto" or subject.style == "flat"


@given(SUBJECTS, SEEDS)
def test_one_of_the_names_is_said(subject: Subject, seed: int) -> None:
    text = caption(subject, random.Random(seed))
    assert any(name.removeprefix("red ") in text for name in subject.names)


@pytest.mark.parametrize(("phrase", "expected"), [("apple", "an"), ("red apple", "a"), ("octopus", "an")])
def test_articles_fit_their_words(phrase: str, expected: str) -> None:
    assert article(phrase) == expected


def test_some_training_captions_are_empty() -> None:
    rng = random.Random(0)
    empty = sum(training_caption(Subject(("apple",)), rng) == "" for _ in range(1000))
    assert 50 < empty < 150
