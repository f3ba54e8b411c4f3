"""Extra-network tags, beside A1111's published behaviour."""

from __future__ import annotations

import pytest
from hypothesis import given

from sfumato_engine.prompts import ExtraNetwork, extra_networks

from .strategies import ANY


@pytest.mark.parametrize(
    ("prompt", "text", "networks"),
    [
        ("a cat", "a cat", []),
        ("a <lora:cat:0.8> cat", "a  cat", [ExtraNetwork("lora", ("cat", "0.8"))]),
        ("<hypernet:ray>", "", [ExtraNetwork("hypernet", ("ray",))]),
        (
            "<lora:my cat:0.8:te=0.5:unet=1:dyn>",
            "",
            [ExtraNetwork("lora", ("my cat", "0.8", "dyn"), {"te": "0.5", "unet": "1"})],
        ),
        ("<lora:a=b=c>", "", [ExtraNetwork("lora", ("a=b=c",))]),
        ("<x:1>a<y:2:>", "a", [ExtraNetwork("x", ("1",)), ExtraNetwork("y", ("2", ""))]),
        ("a < b: c > d", "a < b: c > d", []),
        ("<lora:>", "<lora:>", []),
        ("<lora:a", "<lora:a", []),
        ("<a<b:c>", "<a", [ExtraNetwork("b", ("c",))]),
    ],
)
def test_tags_are_taken_out_and_apart(prompt: str, text: str, networks: list[ExtraNetwork]) -> None:
    assert extra_networks(prompt) == (text, networks)


@given(ANY)
def test_tags_and_text_together_are_the_prompt(prompt: str) -> None:
    text, networks = extra_networks(prompt)
    position, rest = 0, ""
    for network in networks:
        assert prompt[network.start : network.end].startswith(f"<{network.kind}:")
        rest += prompt[position : network.start]
        position = network.end
    assert rest + prompt[position:] == text


def test_tags_that_a_stranger_never_closes_are_text() -> None:
    assert extra_networks("<a:" * 100_000) == ("<a:" * 100_000, [])
