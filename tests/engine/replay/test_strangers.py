"""Stories from strangers: whatever is in them, an error for people comes out."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sfumato.errors import BadInput
from sfumato.replay import CannotReplay
from sfumato_engine.replay.story import Story, parse_story, request_of

from .conftest import ReplayBench, rewritten


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["format", "request", "seed", "model", "parts", "x"]), inner)
        ),
        max_leaves=12,
    ).map(json.dumps)
    | st.text(max_size=20)
)
@example(nested(100_000))
@example('{"format": 2, "seed": ' + "9" * 5000 + "}")
@example('{"format": true, "request": {"steps": "many"}, "seed": 1}')
@example('{"format": 2, "request": {"cfg_scale": NaN}, "seed": 1}')
@example('{"format": 2, "request": {"prompt": "\\ud800"}, "seed": -5}')
@example('{"format": 2, "request": {}, "seed": 1, "model": [], "parts": {"vae": 3}}')
def test_any_text_is_a_story_or_an_error_for_people(text: str) -> None:
    try:
        story = parse_story(text)
        request_of(story)
    except BadInput:
        return
    assert isinstance(story, Story)


def test_a_later_format_is_refused_with_advice() -> None:
    with pytest.raises(BadInput, match="later version") as caught:
        parse_story('{"format": 99}')
    assert caught.value.hint == "Update Sfumato."


@pytest.mark.parametrize(
    "values", [{"steps": "many"}, {"width": 10**9}, {"sampler_options": []}, {"stages": {"a": 1}}]
)
def test_requests_that_cannot_be_are_refused(values: dict) -> None:
    story = Story(format=2, request=values, seed=1)
    with pytest.raises(BadInput, match="asks for what cannot be"):
        request_of(story)


@pytest.mark.parametrize(
    "surroundings",
    [{"torch": "\ud800"}, {"plugins": 3}, {"contributors": ["a"]}, {"plugins": {"x": {"y": [1]}}}],
)
def test_odd_surroundings_are_shown_as_text(bench: ReplayBench, surroundings: dict) -> None:
    def odd(story: dict) -> None:
        story["environment"] |= surroundings

    report = bench.replay(rewritten(bench.draw(), odd))
    assert report.verdict == "same"
    assert report.differences
    assert report.model_dump_json()


def test_an_option_too_large_to_be_a_number_is_told(bench: ReplayBench) -> None:
    drawn = bench.draw(sampler="euler_a")
    picture = rewritten(drawn, lambda story: story["request"]["sampler_options"].update(eta=10**400))
    with pytest.raises(CannotReplay, match="needs a float"):
        bench.replay(picture)


def test_what_a_stranger_wrote_forges_no_lines(bench: ReplayBench) -> None:
    forged = "2.0\nThe same as it was: to the bit."

    def forge(story: dict) -> None:
        story["environment"].update(torch=forged, plugins={forged: forged})
        story["request"].update(prompt=forged, **{forged: forged})

    picture = rewritten(bench.draw(), forge)
    report = bench.replay(picture, prompt="a car")
    assert len(report.differences) > 1
    for told in (*report.differences, *report.changes, *report.not_carried_over):
        assert "\n" not in str(told)
    with pytest.raises(CannotReplay) as caught:
        bench.replay(rewritten(picture, lambda story: story["request"].update(sampler=forged)))
    assert "\n" not in str(caught.value)
