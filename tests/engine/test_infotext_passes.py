"""The nested parts of requests, written as infotext fields and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.request import GenerationRequest, HiresPass, Img2Img, Inpaint, Outpaint, Refiner, SoftInpaint
from sfumato.request.schema import Schema
from sfumato_engine.infotext_fields import request_fields
from sfumato_engine.infotext_passes import take_nested
from sfumato_pictures import infotext

START, MASK = Path("/home/someone/start.png"), Path("/home/someone/mask.png")
texts = st.text('abc ,:"()[]\\é低\n', max_size=12)


def values_of(schema: type[Schema], without: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Any values of a schema's fields within their bounds: a field without a key makes the test fail."""
    properties = schema.model_json_schema()["properties"]
    return st.fixed_dictionaries(
        {}, optional={name: value_of(field) for name, field in properties.items() if name not in without}
    )


def value_of(field: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "anyOf" in field:
        return value_of(field["anyOf"][0])
    if "enum" in field:
        return st.sampled_from(field["enum"])
    if "pattern" in field:
        return st.from_regex(field["pattern"], fullmatch=True)
    bounds = {"min_value": field.get("minimum", 0), "max_value": field.get("maximum", 10_000)}
    return {
        "number": st.floats(**bounds, allow_subnormal=False),
        "integer": st.integers(**bounds),
        "boolean": st.booleans(),
        "string": texts,
    }[field["type"]]


def hires_passes() -> st.SearchStrategy[HiresPass]:
    """With a factor or a size: one of them says what the other would."""
    factors = st.fixed_dictionaries({"scale": st.floats(1, 8)})
    sizes = st.fixed_dictionaries({"width": st.integers(1, 16384), "height": st.integers(0, 16384)})
    names = st.text("abc +4x,", min_size=1, max_size=8)  # an empty name is none
    others = ("scale", "width", "height", "upscaler", "model", "sampler", "scheduler")
    named = st.fixed_dictionaries(
        {"upscaler": names}, optional={"model": names, "sampler": names, "scheduler": names}
    )
    rest = values_of(HiresPass, without=others)
    return st.builds(lambda *parts: HiresPass(**merged(*parts)), factors | sizes, named, rest)


def merged(*parts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


softs = values_of(SoftInpaint).map(lambda values: SoftInpaint(**values))
inpaints = st.builds(
    lambda values, soft: Inpaint(**{"mask": MASK, **values, "soft": soft}),
    values_of(Inpaint, without=("mask", "soft")),
    st.none() | softs,
)
starts = values_of(Img2Img, without=("image",)).map(lambda values: Img2Img(image=START, **values))
outpaints = values_of(Outpaint).map(lambda values: Outpaint(**values))
refiners = st.builds(Refiner, model=st.text("ab c,", min_size=1), switch_at=st.floats(0, 1))


@st.composite
def requests(draw: st.DrawFn) -> GenerationRequest:
    values: dict[str, Any] = {
        "prompt": "a",
        "hires": draw(st.none() | hires_passes()),
        "refiner": draw(st.none() | refiners),
    }
    if draw(st.booleans()):
        values["img2img"] = draw(starts)
        values |= draw(st.sampled_from([{}, {"inpaint": draw(inpaints)}, {"outpaint": draw(outpaints)}]))
    return GenerationRequest(**values)


def written(request: GenerationRequest) -> dict[str, str]:
    """The fields of a request once they were a line of text; three of them make a line of fields."""
    fields = {"Steps": 1, "Seed": 1, "Size": "64x64", **request_fields(request)}
    read = infotext.read(infotext.write(request.prompt, "", fields)).fields
    return {key: value for key, value in read.items() if key not in ("Steps", "Seed", "Size", "RNG")}


@given(requests())
def test_every_part_of_a_request_is_read_as_it_was_written(request: GenerationRequest) -> None:
    fields = written(request)
    found = take_nested(fields)
    for name, path in (("img2img", {"image": START}), ("inpaint", {"mask": MASK})):
        if name in found:
            found[name] |= path
    assert GenerationRequest(prompt="a", **found) == request
    assert fields == {}


@given(requests())
def test_no_text_tells_where_files_lie(request: GenerationRequest) -> None:
    assert "someone" not in str(written(request))


def test_the_names_of_parts_and_regions_are_told_without_their_folders() -> None:
    request = GenerationRequest(
        parts={"autoencoder": "/home/someone/vae.safetensors", "clip_text": "clip"},
        regions=(Path("/home/someone/left.png"), Path("right.png")),
    )
    fields = request_fields(request)
    assert fields["Parts"] == '{"autoencoder": "vae.safetensors", "clip_text": "clip"}'
    assert fields["Regions"] == "left.png, right.png"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"hires": HiresPass(upscaler="Latent", steps=8, prompt="x: y")},
            {"Denoising strength": "0.7", "Hires upscale": "2.0", "Hires upscaler": "Latent"}
            | {"Hires steps": "8", "Hires prompt": "x: y"},
        ),
        (
            {"hires": HiresPass(width=96)},
            {"Denoising strength": "0.7", "Hires resize": "96x0", "Hires upscaler": "latent"},
        ),
        ({"refiner": Refiner(model="b")}, {"Refiner": "b", "Refiner switch at": "0.8"}),
        (
            {"img2img": Img2Img(image=START), "inpaint": Inpaint(mask=MASK)},
            {"Denoising strength": "0.75", "Mask blur": "4"},
        ),
        (
            {
                "img2img": Img2Img(image=START, resize_mode="crop"),
                "inpaint": Inpaint(mask=MASK, invert=True, content="latent_noise", area="only_masked"),
            },
            {"Denoising strength": "0.75", "Resize mode": "Crop and resize", "Mask blur": "4"}
            | {"Mask mode": "Inpaint not masked", "Masked content": "latent noise"}
            | {"Inpaint area": "Only masked", "Masked area padding": "32"},
        ),
        (
            {"tiling": True, "face_restorer": "CodeFormer"},
            {"Tiling": "True", "Face restoration": "CodeFormer"},
        ),
    ],
)
def test_the_keys_and_words_are_those_of_a1111(values: dict[str, Any], expected: dict[str, str]) -> None:
    assert written(GenerationRequest(prompt="a", **values)) == expected


def test_soft_inpainting_has_the_keys_of_its_script() -> None:
    inpaint = Inpaint(mask=MASK, soft=SoftInpaint())
    fields = written(GenerationRequest(img2img=Img2Img(image=START), inpaint=inpaint))
    assert {key: value for key, value in fields.items() if key.startswith("Soft")} == {
        "Soft inpainting enabled": "True",
        "Soft inpainting schedule bias": "1.0",
        "Soft inpainting preservation strength": "0.5",
        "Soft inpainting transition contrast boost": "4.0",
        "Soft inpainting mask influence": "0.0",
        "Soft inpainting difference threshold": "0.5",
        "Soft inpainting difference contrast": "2.0",
    }


@pytest.mark.parametrize(
    "field",
    ["Hires steps: many", "Hires CFG Scale: 900", "Hires resize: 99999x1", "Mask mode: odd", "Mask blur: -1"],
)
def test_what_a_part_cannot_have_is_left(field: str) -> None:
    key, _, value = field.partition(": ")
    fields = {"Hires upscale": "2", "Denoising strength": "0.5", "Masked content": "fill", key: value}
    assert take_nested(fields)["inpaint"]["content"] == "fill"
    assert fields == {key: value}
