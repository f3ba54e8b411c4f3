"""How prompts are cut into windows of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.models import PromptText, TextEmbedding, WeightedText
from sfumato_networks.clip_vocabulary import FOLDER
from sfumato_networks.prompt_tokens import LearnedWord, PromptSplitter, TokenWindow
from sfumato_networks.tokenizer import Tokenizer

TOKENIZER = Tokenizer.from_folder(FOLDER)
CAT, COMMA = 2368, 267


def word(name: str, places: int, unfit: str = "") -> LearnedWord:
    embedding = TextEmbedding(name, name, Path(f"{name}.pt"), {})
    return LearnedWord(embedding, tuple(TOKENIZER.encode(name)), places, unfit)


def windows(*chunks: str | WeightedText, words: tuple[LearnedWord, ...] = ()) -> tuple[TokenWindow, ...]:
    pieces = tuple(((chunk, 1.0),) if isinstance(chunk, str) else chunk for chunk in chunks)
    return PromptSplitter(TOKENIZER, words=words).split(PromptText(pieces)).windows


def sizes(*chunks: str) -> list[int]:
    return [len(window) for window in windows(*chunks)]


def test_an_empty_prompt_is_one_empty_window() -> None:
    assert sizes("") == [0]


def test_75_tokens_are_one_window_and_76_are_two() -> None:
    assert sizes("cat " * 75) == [75]
    assert sizes("cat " * 76) == [75, 1]


def test_break_begins_a_window_even_before_anything() -> None:
    assert sizes("", "cat", "cat cat") == [0, 1, 2]


def test_pieces_are_tokenised_apart_and_keep_their_weights() -> None:
    (window,) = windows((("c", 1.0), ("at", 1.3), (" cat", 0.5)))
    assert window.token_ids == [*TOKENIZER.encode("c"), *TOKENIZER.encode("at"), CAT]
    assert window.weights == [1.0, 1.3, 0.5]


@pytest.mark.parametrize(("before", "first"), [(54, 75), (55, 56), (74, 75)])
def test_a_window_ends_behind_a_comma_if_it_is_among_its_last_20_tokens(before: int, first: int) -> None:
    text = "cat " * before + ", " + "cat " * 30
    assert sizes(text) == [first, before + 1 + 30 - first]


def test_a_comma_that_does_not_fit_goes_on_alone_and_is_no_place_to_cut() -> None:
    text = "cat " * 75 + ", " + "cat " * 80
    first, second, third = windows(text)
    assert (len(first), len(second), len(third)) == (75, 75, 6)
    assert second.token_ids[0] == COMMA


def test_what_moves_behind_a_comma_keeps_its_weight() -> None:
    first, second = windows((("cat " * 70 + ",", 1.0), ("cat " * 4, 1.5), ("cat", 0.5)))
    assert len(first) == 71
    assert second.weights == [1.5] * 4 + [0.5]


def test_a_learned_word_takes_as_many_places_as_it_has_vectors() -> None:
    sks = word("sks", 3)
    (window,) = windows((("a cat ", 1.0), ("sks cat", 1.2)), words=(sks,))
    assert window.words == [(2, sks)]
    assert window.weights == [1.0, 1.0, 1.2, 1.2, 1.2, 1.2]
    assert window.token_ids[5] == CAT


def test_the_longest_name_is_read_where_several_begin_in_upper_case_too() -> None:
    short, long = word("sks", 1), word("sks dog", 2)
    for words in ((short, long), (long, short)):
        (window,) = windows("SKS Dog sks", words=words)
        assert window.words == [(0, long), (2, short)]


def test_a_learned_word_is_never_spread_over_two_windows() -> None:
    first, second = windows("cat " * 73 + "sks", words=(word("sks", 3),))
    assert (len(first), len(second)) == (73, 3)


def test_a_learned_word_moves_with_what_follows_a_comma() -> None:
    sks = word("sks", 3)
    first, second = windows("cat " * 69 + ", sks cat cat cat", words=(sks,))
    assert (len(first), first.words) == (70, [])
    assert second.words == [(0, sks)]


def test_a_name_that_begins_with_a_comma_is_not_cut() -> None:
    odd = word(", odd", 10)
    for n in range(60, 75):
        found = windows("cat " * n + ", odd " + "cat " * 20, words=(odd,))
        (place, _), *_ = [entry for window in found for entry in window.words]
        holder = next(window for window in found if window.words)
        assert holder.token_ids[place : place + 10] == [0] * 10


def test_an_unfit_word_is_read_as_text_and_told_once() -> None:
    text = PromptText(((("sks sks cat", 1.0),), (("sks", 1.0),)))
    split = PromptSplitter(TOKENIZER, words=(word("sks", 3, "Not for this one."),)).split(text)
    assert split.unfit == ("Not for this one.",)
    assert split.windows[0].token_ids == TOKENIZER.encode("sks sks cat")


def test_an_unfit_word_that_does_not_occur_is_not_told() -> None:
    splitter = PromptSplitter(TOKENIZER, words=(word("sks", 3, "Not for this one."),))
    assert splitter.split(PromptText(((("a cat", 1.0),),))).unfit == ()


@pytest.mark.parametrize(
    ("text", "used", "limit"), [("", 0, 75), ("cat " * 75, 75, 75), ("cat " * 80, 80, 150)]
)
def test_tokens_are_counted_as_the_peers_show_them(text: str, used: int, limit: int) -> None:
    assert PromptSplitter(TOKENIZER).split(PromptText((((text, 1.0),),))).count() == (used, limit)


def test_all_windows_but_the_last_count_as_full() -> None:
    text = PromptText(((("cat", 1.0),), (("cat cat", 1.0),)))
    assert PromptSplitter(TOKENIZER).split(text).count() == (77, 150)


PIECES = st.lists(
    st.tuples(st.sampled_from(["cat ", ", ", "sks ", "unbelievably "]), st.integers(0, 50)), max_size=8
)


@given(PIECES)
def test_no_token_is_lost_and_no_window_too_long(runs: list[tuple[str, int]]) -> None:
    text = "".join(piece * count for piece, count in runs)
    found = windows(text)
    assert [token for window in found for token in window.token_ids] == TOKENIZER.encode(text)
    assert all(len(window) <= 75 and len(window.weights) == len(window) for window in found)
