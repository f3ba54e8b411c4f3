"""ComfyUI's graphs told as infotexts, and requests made of them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sfumato.errors import BadInput
from sfumato.replay import ReplayRequest
from sfumato.request import HiresPass, Img2Img, Refiner
from sfumato_engine.replay.comfyui_import import SAMPLERS, read_graph
from sfumato_engine.replay.infotext_import import import_request
from sfumato_engine.replay.replay import remember
from sfumato_pictures.infotext import Infotext
from sfumato_pictures.reading import read_picture

from .conftest import ReplayBench, with_texts

Nodes = dict[str, Any]


def node(kind: str, **inputs: Any) -> Nodes:
    return {"class_type": kind, "inputs": inputs}


def sampler(**inputs: Any) -> Nodes:
    given = {"model": ["1", 0], "positive": ["3", 0], "negative": ["4", 0], "latent_image": ["8", 0]}
    names = {"sampler_name": "euler", "scheduler": "karras"}
    values = {"seed": 7, "steps": 25, "cfg": 6.0, "denoise": 1.0}
    return node("KSampler", **{**given, **names, **values, **inputs})


def lora(model: list, clip: list, name: str, *strengths: float) -> Nodes:
    both = dict(zip(("strength_model", "strength_clip"), strengths, strict=True))
    return node("LoraLoader", model=model, clip=clip, lora_name=name, **both)


PLAIN: Nodes = {
    "1": node("CheckpointLoaderSimple", ckpt_name="sdxl\\base.safetensors"),
    "3": node("CLIPTextEncode", text="a fox", clip=["1", 1]),
    "4": node("CLIPTextEncode", text="blurry", clip=["1", 1]),
    "5": sampler(),
    "8": node("EmptyLatentImage", width=1024, height=768, batch_size=1),
    "9": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
    "10": node("SaveImage", images=["9", 0], filename_prefix="x"),
}
HIRES: Nodes = {
    "6": node("LatentUpscaleBy", samples=["5", 0], upscale_method="bilinear", scale_by=1.5),
    "7": sampler(latent_image=["6", 0], steps=15, denoise=0.55),
    "9": node("VAEDecode", samples=["7", 0], vae=["1", 2]),
}
FLUX: Nodes = {
    "1": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
    "2": node("DualCLIPLoader", clip_name1="t5xxl_fp16.safetensors", clip_name2="clip_l.safetensors"),
    "3": node("VAELoader", vae_name="ae.safetensors"),
    "4": node("LoraLoaderModelOnly", model=["1", 0], lora_name="f.safetensors", strength_model=1.0),
    "5": node("ModelSamplingFlux", model=["4", 0], max_shift=1.15, base_shift=0.5, width=896, height=1152),
    "6": node("CLIPTextEncode", text="a fox", clip=["2", 0]),
    "7": node("FluxGuidance", conditioning=["6", 0], guidance=3.5),
    "8": node("BasicGuider", model=["5", 0], conditioning=["7", 0]),
    "9": node("RandomNoise", noise_seed=11),
    "10": node("KSamplerSelect", sampler_name="euler"),
    "11": node("BasicScheduler", model=["5", 0], scheduler="simple", steps=20, denoise=1.0),
    "12": node("EmptySD3LatentImage", width=896, height=1152, batch_size=1),
    "13": node(
        "SamplerCustomAdvanced",
        noise=["9", 0],
        guider=["8", 0],
        sampler=["10", 0],
        sigmas=["11", 0],
        latent_image=["12", 0],
    ),
    "14": node("VAEDecode", samples=["13", 0], vae=["3", 0]),
    "15": node("SaveImage", images=["14", 0]),
}


def read(*parts: Nodes) -> Infotext:
    return read_graph(json.dumps({number: each for part in parts for number, each in part.items()}))


def test_a_plain_graph_is_read_whole() -> None:
    assert read(PLAIN) == Infotext(
        "a fox",
        "blurry",
        {
            "Steps": "25",
            "Sampler": "euler",
            "Schedule type": "karras",
            "CFG scale": "6.0",
            "Seed": "7",
            "Size": "1024x768",
            "Model": "base",
            "Version": "ComfyUI",
        },
    )


def test_a_graph_of_flux_is_read_whole_and_what_is_not_understood_is_told() -> None:
    text = read(FLUX)
    assert (text.prompt, text.negative_prompt) == ("a fox <lora:f:0:1.0>", "")
    assert text.fields == {
        "Steps": "20",
        "Sampler": "euler",
        "Schedule type": "simple",
        "CFG scale": "1",
        "Seed": "11",
        "Size": "896x1152",
        "Model": "flux1-dev",
        "VAE": "ae.safetensors",
        "Distilled CFG Scale": "3.5",
        "Version": "ComfyUI",
    }
    assert text.unread == ("the node ModelSamplingFlux",)


CHAIN: Nodes = {
    "2": lora(["1", 0], ["1", 1], "a/one.pt", 0.8, 0.8),
    "20": lora(["2", 0], ["2", 1], "two", 1, 0.5),
    "21": node("CLIPSetLastLayer", clip=["20", 1], stop_at_clip_layer=-2),
    "3": node("CLIPTextEncode", text="a fox", clip=["21", 0]),
    "5": sampler(model=["20", 0]),
}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([CHAIN], {"prompt": "a fox <lora:one:0.8> <lora:two:0.5:1>", "Clip skip": "2"}),
        ([{"3": node("CLIPTextEncode", text="(a:1.2)", clip=["1", 1])}], {"Emphasis": "No norm"}),
        (
            [{"3": node("CLIPTextEncode", text="embedding:sub/cat.pt, [x]", clip=["1", 1])}],
            {"prompt": r"cat, \[x\]"},
        ),
        (
            [{"3": node("CLIPTextEncodeSDXL", text_g="a red fox", text_l="fox", clip=["1", 1])}],
            {"prompt": "a red fox"},
        ),
        (
            [
                {"3": node("CLIPTextEncode", text=["30", 0], clip=["1", 1])},
                {"30": node("String", value="wolf")},
            ],
            {"prompt": "wolf"},
        ),
        (
            [
                {"3": node("ConditioningCombine", conditioning_1=["30", 0], conditioning_2=["31", 0])},
                {"30": node("CLIPTextEncode", text="a", clip=["1", 1])},
                {"31": node("CLIPTextEncode", text="b", clip=["1", 1])},
            ],
            {"prompt": "a AND b"},
        ),
        ([{"4": node("ConditioningZeroOut", conditioning=["3", 0])}], {"negative": ""}),
        ([{"5": sampler(seed=["30", 0]), "30": node("Seed", seed=99)}], {"Seed": "99"}),
        (
            [HIRES],
            {"Denoising strength": "0.55", "Hires steps": "15"}
            | {"Hires upscale": "1.5", "Hires upscaler": "Latent"},
        ),
        (
            [
                HIRES,
                {
                    "6": node("VAEEncode", pixels=["61", 0], vae=["1", 2]),
                    "61": node("ImageScaleBy", image=["62", 0], upscale_method="area", scale_by=0.5),
                    "62": node("ImageUpscaleWithModel", image=["63", 0], upscale_model=["64", 0]),
                    "63": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
                    "64": node("UpscaleModelLoader", model_name="4x_foolhardy.pth"),
                },
            ],
            {"Hires upscale": "2.0", "Denoising strength": "0.55"},
        ),
        (
            [
                {
                    "8": node("VAEEncode", pixels=["80", 0], vae=["1", 2]),
                    "80": node("LoadImage", image="cat.png"),
                    "5": sampler(denoise=0.4),
                }
            ],
            {"Denoising strength": "0.4", "Img2img all steps": "True"},
        ),
    ],
    ids=[
        "loras", "weights", "embedding", "sdxl", "linked", "combined", "zero", "seed", "latent", "upscaler",
        "img2img",
    ],
)  # fmt: skip
def test_what_graphs_are_made_of_is_understood(parts: list[Nodes], expected: dict[str, str]) -> None:
    text = read(PLAIN, *parts)
    found = {"prompt": text.prompt, "negative": text.negative_prompt, **text.fields}
    assert {key: found.get(key) for key in expected} == expected
    assert [told for told in text.unread if told.startswith("the node")] == []


def test_a_graph_becomes_a_request(bench: ReplayBench) -> None:
    info = bench.context.library.find("gauss")
    request, left = import_request(read(PLAIN, HIRES), info, bench.registries)
    assert request.hires == HiresPass(upscaler="Latent", scale=1.5, steps=15, denoising_strength=0.55)
    assert (request.seed, request.width, request.noise_source, left) == (7, 1024, "cpu", [])


def test_stochastic_samplers_of_comfyui_use_its_noise(bench: ReplayBench) -> None:
    text = read(PLAIN, {"5": sampler(sampler_name="dpmpp_2m_sde_gpu")})
    assert import_request(text, None, bench.registries)[0].step_noise == "brownian_tree"


def test_a_start_picture_is_drawn_on_with_all_steps(bench: ReplayBench) -> None:
    start = {"8": node("VAEEncode", pixels=["80", 0], vae=["1", 2]), "80": node("LoadImage", image="cat.png")}
    text = read(PLAIN, start, {"5": sampler(denoise=0.4)})
    request, _ = import_request(text, None, bench.registries, pictures={"img2img.image": "mine.png"})
    assert request.img2img == Img2Img(image="mine.png", denoising_strength=0.4, all_steps=True)  # type: ignore[arg-type]


def test_another_model_that_takes_over_is_a_refiner(bench: ReplayBench) -> None:
    settings = {"noise_seed": 3, "steps": 20, "cfg": 5, "sampler_name": "euler", "scheduler": "simple"}
    settings |= {"positive": ["3", 0], "negative": ["4", 0]}
    first, second = {"start_at_step": 0, "end_at_step": 15}, {"start_at_step": 15, "end_at_step": 99}
    both = {
        "5": node("KSamplerAdvanced", model=["1", 0], latent_image=["8", 0], **first, **settings),
        "50": node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
        "51": node("KSamplerAdvanced", model=["50", 0], latent_image=["5", 0], **second, **settings),
        "9": node("VAEDecode", samples=["51", 0], vae=["1", 2]),
    }
    text = read(PLAIN, both)
    assert (text.fields["Model"], text.fields["Seed"], text.fields["Steps"]) == ("base", "3", "20")
    request, left = import_request(text, None, bench.registries)
    assert (request.refiner, request.hires, left) == (Refiner(model="refiner", switch_at=0.75), None, [])


def test_nodes_of_others_are_told_as_far_as_the_picture_depends_on_them() -> None:
    extra = {
        "20": node("FreeU_V2", model=["1", 0], b1=1.3),
        "5": sampler(model=["20", 0]),
        "40": node("ControlNetApply", conditioning=["3", 0], strength=1),
        "50": node("FaceDetailer", image=["9", 0]),
        "10": node("SaveImage", images=["50", 0]),
        "90": node("Note", text="unrelated"),
    }
    text = read(PLAIN, extra)
    assert text.unread == ("the node FaceDetailer", "the node FreeU_V2")
    assert text.fields["Model"] == "base"


@pytest.mark.parametrize("kind", ["ControlNetApplyAdvanced", "InpaintModelConditioning"])
def test_a_node_that_hands_on_both_prompts_does_not_mix_them_up(kind: str) -> None:
    both = {
        "30": node(kind, positive=["31", 0], negative=["31", 1]),
        "31": node("ControlNetApplyAdvanced", positive=["3", 0], negative=["4", 0]),
        "5": sampler(positive=["30", 0], negative=["30", 1]),
    }
    text = read(PLAIN, both)
    assert (text.prompt, text.negative_prompt) == ("a fox", "blurry")


EMPTY = {"width": 1024, "height": 768}
SECOND_SAVED = {"90": node("VAEDecode", samples=["5", 0]), "91": node("SaveImage", images=["90", 0])}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            [
                {"3": node("CLIPTextEncode", text=["30", 0], clip=["1", 1])},
                {"30": node("StringConcatenate", string_a="a", string_b="fox")},
            ],
            "the node StringConcatenate",
        ),
        ([{"5": sampler(denoise=0.5)}], "the denoise of 0.5 where there is nothing to start from"),
        (
            [{"8": node("EmptyLatentImage", batch_size=2, **EMPTY)}],
            "which picture of its batch it is: the first one is drawn",
        ),
        (
            [HIRES, {"7": sampler(latent_image=["6", 0], seed=8, denoise=0.5)}],
            "the seed 8 of the second pass",
        ),
        ([HIRES, SECOND_SAVED], "which of its 2 pictures it is: that of the node 7 is drawn"),
        ([HIRES, {"6": sampler(latent_image=["5", 0], denoise=0.3)}], "the pass of the node KSampler 6"),
        (
            [
                HIRES,
                {
                    "9": node("VAEDecode", samples=["71", 0]),
                    "71": sampler(latent_image=["72", 0], denoise=0.2),
                },
                {"72": node("LatentUpscaleBy", samples=["7", 0], upscale_method="bilinear", scale_by=2)},
            ],
            "the pass of the node KSampler 71",
        ),
    ],
    ids=["text", "denoise", "batch", "seed", "pictures", "same size", "three passes"],
)
def test_what_no_field_can_tell_is_told(parts: list[Nodes], told: str) -> None:
    assert told in read(PLAIN, *parts).unread


def test_a_pass_over_an_enlarged_start_picture_keeps_both_strengths(bench: ReplayBench) -> None:
    start = {"8": node("VAEEncode", pixels=["80", 0], vae=["1", 2]), "80": node("LoadImage", image="cat.png")}
    text = read(PLAIN, HIRES, start, {"5": sampler(denoise=0.4)})
    request, _ = import_request(text, None, bench.registries, pictures={"img2img.image": "mine.png"})
    assert request.img2img is not None
    assert request.hires is not None
    assert (request.img2img.denoising_strength, request.hires.denoising_strength) == (0.4, 0.55)


def test_the_picture_that_is_saved_counts() -> None:
    other = {"2": node("PreviewImage", images=["30", 0]), "30": node("VAEDecode", samples=["31", 0])}
    other |= {"31": sampler(positive=["32", 0]), "32": node("CLIPTextEncode", text="a dog", clip=["1", 1])}
    assert read(PLAIN, other).prompt == "a fox"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"1": {"class_type": 3, "inputs": {}}}', "cannot be read"),
        ('{"1": {"inputs": {}}}', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("{}", "cannot be followed"),
        (json.dumps({"1": node("SaveImage", images=["1", 0])}), "cannot be followed"),
    ],
)
def test_what_is_no_graph_is_told(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_graph(text)


NAMES = (
    "model",
    "positive",
    "negative",
    "latent_image",
    "samples",
    "images",
    "clip",
    "text",
    "steps",
    "conditioning",
)
KINDS = (
    "SaveImage",
    "VAEDecode",
    "CLIPTextEncode",
    "LatentUpscaleBy",
    "LoraLoader",
    "ConditioningCombine",
    *SAMPLERS,
)


@given(
    st.dictionaries(
        st.sampled_from("12345"),
        st.fixed_dictionaries(
            {
                "class_type": st.sampled_from(KINDS),
                "inputs": st.dictionaries(
                    st.sampled_from(NAMES),
                    st.tuples(st.sampled_from("12345"), st.integers(0, 1)).map(list)
                    | st.text(max_size=3)
                    | st.integers()
                    | st.none()
                    | st.lists(st.integers(), max_size=3)
                    | st.floats(),
                ),
            }
        ),
    )
)
@example({"1": node("SaveImage", images=["2", 0]), "2": sampler(latent_image=["2", 0], model=["2", 0])})
def test_any_graph_is_read_or_told_of(nodes: Nodes) -> None:
    with suppress(BadInput):
        assert isinstance(read_graph(json.dumps(nodes)), Infotext)


def test_a_picture_by_comfyui_is_remembered(bench: ReplayBench) -> None:
    named = {"1": node("CheckpointLoaderSimple", ckpt_name="gauss.safetensors")}
    path = with_texts(bench.draw(), {"prompt": json.dumps({**PLAIN, **named}), "workflow": "{}"})
    remembered = remember(read_picture(path), ReplayRequest(path=path), bench.context)
    assert (remembered.request.prompt, remembered.request.model) == ("a fox", "gauss")
    assert list(remembered.not_carried_over) == []
