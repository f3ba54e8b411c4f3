"""Prompts as the sampling loop gets them."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_engine.prompts import ExtraNetwork, ScheduledPart, compile_prompt, escape
from sfumato_engine.prompts.compilation import EmphasisMode

from .strategies import ANY

MODES = st.sampled_from(get_args(EmphasisMode))


def test_a_plain_prompt_is_one_text_for_all_steps() -> None:
    compiled = compile_prompt("a cat", 20)
    assert compiled.parts == (ScheduledPart(1.0, ((20, ((("a cat", 1.0),),)),)),)
    assert compiled.networks == ()


def test_all_of_the_grammar_works_together() -> None:
    compiled = compile_prompt("a (b:1.2) <lora:x:0.5:te=1>[c:d:0.5] BREAK e AND [f|g] :0.7", 4)
    first, second = compiled.parts
    assert compiled.networks == (ExtraNetwork("lora", ("x", "0.5"), {"te": "1"}),)
    assert (first.weight, second.weight) == (1.0, 0.7)
    assert first.spans == (
        (2, ((("a ", 1.0), ("b", 1.2), (" c", 1.0)), (("e", 1.0),))),
        (4, ((("a ", 1.0), ("b", 1.2), (" d", 1.0)), (("e", 1.0),))),
    )
    assert second.spans == tuple((step, (((f" {'gf'[step % 2]}", 1.0),),)) for step in (1, 2, 3, 4))


def test_weights_can_be_scheduled() -> None:
    (part,) = compile_prompt("(a:[1.2:1.5:3])", 10).parts
    assert part.spans == ((3, ((("a", 1.2),),)), (10, ((("a", 1.5),),)))


def test_spans_that_read_the_same_are_one() -> None:
    (part,) = compile_prompt("[a:a:3] b [(c):(c:1.1):5]", 10).parts
    assert part.spans == ((10, ((("a b ", 1.0), ("c", 1.1)),)),)


def test_a_prompt_that_is_not_composed_keeps_and_and_tags_as_words() -> None:
    compiled = compile_prompt("[a:b:5] AND <lora:x:1> c:2", 10, compose=False)
    assert compiled.networks == ()
    assert compiled.parts == (
        ScheduledPart(
            1.0,
            (
                (5, ((("a AND <lora:x:1> c:2", 1.0),),)),
                (10, ((("b AND <lora:x:1> c:2", 1.0),),)),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("emphasis", "chunks"),
    [
        ("original", ((("a ", 1.0), ("b", 1.2)), (("c", 1.1),))),
        ("no_norm", ((("a ", 1.0), ("b", 1.2)), (("c", 1.1),))),
        ("ignore", ((("a ", 1.0), ("b", 1.0)), (("c", 1.0),))),
        ("none", ((("a (b:1.2) BREAK (c)", 1.0),),)),
    ],
)
def test_emphasis_modes_differ_in_what_brackets_do(emphasis: EmphasisMode, chunks: object) -> None:
    (part,) = compile_prompt("a (b:1.2) BREAK [(c)::9]", 4, emphasis=emphasis).parts
    assert part.spans == ((4, chunks),)


@given(ANY, st.integers(1, 12), MODES, st.booleans())
def test_any_text_is_compiled_for_all_steps(
    prompt: str, steps: int, emphasis: EmphasisMode, compose: bool
) -> None:
    compiled = compile_prompt(prompt, steps, emphasis=emphasis, compose=compose)
    assert compiled.parts
    for part in compiled.parts:
        assert part.spans[-1][0] == steps
        assert all(left[0] < right[0] and left[1] != right[1] for left, right in pairwise(part.spans))
        assert all(chunks and all(chunks) for _, chunks in part.spans)
    hash(compiled.parts)


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="<:"), max_size=20))
def test_escaped_text_means_itself(text: str) -> None:
    words = text.replace("AND", "and").replace("BREAK", "break").rstrip()
    (part,) = compile_prompt(escape(words), 10).parts
    assert part.spans == ((10, (((words, 1.0),),)),)
