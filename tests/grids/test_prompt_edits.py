"""What axes do to a prompt's text."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_grids.prompt_edits import (
    lora_names,
    orders_of,
    reordered,
    with_lora,
    with_lora_weight,
    without_empty_tags,
)


@pytest.mark.parametrize(
    ("prompt", "name", "after"),
    [
        ("a cat", "blue", "a cat <lora:blue:1>"),
        ("", "blue", "<lora:blue:1>"),
        ("a cat", "blue:0.5", "a cat <lora:blue:0.5>"),
        ("a <lora:red:0.8:lbw=OUT> cat", "blue", "a <lora:blue:0.8:lbw=OUT> cat"),
        ("a <lyco:red:0.8> cat <lora:x:1>", "blue:0.3", "a <lyco:blue:0.3> cat <lora:x:1>"),
        ("a <lora:red:0.8> cat", "None", "a  cat"),
        ("a cat", "", "a cat"),
    ],
)
def test_a_lora_is_put_in_replaced_or_taken_out(prompt: str, name: str, after: str) -> None:
    assert without_empty_tags(with_lora(prompt, name)) == after


def test_of_several_loras_the_named_one_is_changed() -> None:
    prompt = "x <lora:a:1> <lora:b:1>"
    assert with_lora(prompt, "c", "b") == "x <lora:a:1> <lora:c:1>"
    assert with_lora_weight(prompt, "0.5", "B") == "x <lora:a:1> <lora:b:0.5>"


@pytest.mark.parametrize(
    ("tag", "after"),
    [
        ("<lora:a>", "<lora:a:0.3>"),
        ("<lora:a:1>", "<lora:a:0.3>"),
        ("<lora:a:1:0.5>", "<lora:a:0.3>"),
        ("<lora:a:te=1:unet=0.5:stop=0.5>", "<lora:a:0.3:stop=0.5>"),
    ],
)
def test_a_weight_replaces_all_strengths_and_leaves_the_rest(tag: str, after: str) -> None:
    assert with_lora_weight(tag, "0.3") == after


def test_a_weight_without_a_lora_is_told() -> None:
    with pytest.raises(ValueError, match="has no <lora"):
        with_lora_weight("a cat", "0.5")


def test_words_change_places_and_the_rest_stays() -> None:
    prompt = "a cat, a dog and a bird"
    assert reordered(prompt, ["bird", "cat", "dog"]) == "a bird, a cat and a dog"


def test_a_word_within_another_one_is_looked_for_elsewhere() -> None:
    assert reordered("catfish eats cat", ["cat", "catfish"]) == "cat eats catfish"


@pytest.mark.parametrize("words", [["cow"], ["cat", "cat"]])
def test_a_word_that_is_not_there_is_told(words: list[str]) -> None:
    with pytest.raises(ValueError, match="is not in the prompt"):
        reordered("a cat", words)


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=5, unique=True), st.data())
def test_any_order_comes_out_in_that_order(words: list[str], data: st.DataObject) -> None:
    order = data.draw(st.permutations(words))
    assert reordered(" - ".join(words), order) == " - ".join(order)


def test_all_orders_begin_with_the_given_one_and_have_an_end() -> None:
    assert orders_of(["a", "b", "c"]) == list(permutations(["a", "b", "c"]))
    with pytest.raises(ValueError, match="too many orders"):
        orders_of([str(number) for number in range(8)])


def test_names_of_loras_are_read() -> None:
    assert lora_names("a <lora:x:1> <lyco:y> <hypernet:z:1>") == ("x", "y")
