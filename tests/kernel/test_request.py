"""The request refuses what cannot be, and names every problem at once."""

from __future__ import annotations

import pytest

from sfumato.errors import BadInput, UnknownName
from sfumato.request import GenerationRequest, RequestDefaults
from sfumato.studio import build_request


def test_open_fields_take_the_models_defaults_and_given_ones_stay() -> None:
    request = GenerationRequest(prompt="a pear", steps=7).filled_from(
        RequestDefaults(steps=20, width=64, height=32)
    )
    assert (request.steps, request.width, request.height, request.sampler) == (7, 64, 32, "euler")


def test_a_misspelt_field_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean cfg_scale"):
        build_request("a pear", {"cfg_scal": 3})


def test_all_values_out_of_range_are_named_together() -> None:
    with pytest.raises(BadInput) as caught:
        build_request("a pear", {"steps": 0, "width": 10**9, "seed": 2**32})
    assert all(field in caught.value.why for field in ("steps", "width", "seed"))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("prompt", ["nul\0byte", "half a \ud83d surrogate"])
def test_text_that_no_file_can_carry_is_cleaned(prompt: str) -> None:
    cleaned = GenerationRequest(prompt=prompt).prompt
    assert "\0" not in cleaned
    assert cleaned.encode("utf-8")


def test_a_request_survives_json() -> None:
    request = GenerationRequest(prompt='quotes " and \n lines', seed=3, model_options={"guidance": 2.5})
    assert GenerationRequest.model_validate_json(request.model_dump_json()) == request


def test_what_a_request_cannot_be_is_told_without_the_words_of_a_library() -> None:
    with pytest.raises(BadInput) as error:
        build_request("a hat", {"inpaint": {"mask": "m.png"}})
    assert error.value.why == ("inpainting and outpainting need the picture to start from: img2img.image.")
    with pytest.raises(BadInput, match=r"hires\.scal: there is no such field\."):
        build_request("a hat", {"hires": {"scal": 2}})
    with pytest.raises(BadInput, match=r"steps: .* \(got 'many'\)\."):
        build_request("a hat", {"steps": "many"})


def test_an_unknown_name_lists_no_more_than_is_read() -> None:
    few, many = UnknownName("pear", "zzz", ["a1", "a2"]), UnknownName("pear", "zzz", map(str, range(500)))
    assert few.hint == "Known: a1, a2."
    assert many.hint.endswith("and 460 more.")
    assert len(many.hint) < 500
