"""Requests made of infotexts: A1111's and Forge's, and our own written and read back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.models import ModelInfo
from sfumato.replay import CannotReplay, NoStory, ReplayRequest
from sfumato.request import GenerationRequest, HiresPass, Img2Img, Inpaint, Outpaint, Refiner, SoftInpaint
from sfumato.sampling import Option
from sfumato_engine.infotext_fields import OWN_VERSION, option_fields, request_fields, stage_fields
from sfumato_engine.provenance import Provenance
from sfumato_engine.replay.infotext_import import import_request, import_values, other_wanted_models
from sfumato_engine.replay.model_search import WantedModel, old_hash
from sfumato_engine.replay.replay import remember
from sfumato_engine.resolution import resolve
from sfumato_pictures import infotext
from sfumato_pictures.reading import read_picture

from ...infotexts import OLD, ROBOT, SAILOR, STREET
from .conftest import ReplayBench, with_infotext

LIGHTHOUSE = (
    "lighthouse\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 1234567890, "
    "Size: 512x512, Model hash: 4fa1b20c9d, Model: harbor_v3, Version: v1.10.1"
)
FOX = (
    "fox in snow, <lora:inkWash:0.8> <lora:paper-grain:0.35:0.5>\nNegative prompt: photo\n"
    "Steps: 30, Sampler: DPM++ SDE, Schedule type: Karras, CFG scale: 6, Seed: 3319, Size: 768x512, "
    "Model hash: 0c4d5e6f7a, Model: meadow, "
    'Lora hashes: "inkWash: a1b2c3d4e5f6, paper-grain: 0f9e8d7c6b5a", Version: v1.9.4'
)
CASTLE = (
    "castle\nSteps: 20, Sampler: Euler, CFG scale: 7.0, Seed: 5, Size: 512x512, Model: harbor_v3, "
    'Denoising strength: 0.55, Hires sampler: DPM++ 2M, Hires prompt: "castle, sharp stone", '
    "Hires schedule type: Karras, Hires upscale: 2.0, Hires steps: 12, Hires upscaler: R-ESRGAN 4x+, "
    "Version: v1.10.1"
)
PLUMS = (
    "bowl of plums\nSteps: 15, Sampler: DDIM, Schedule type: Automatic, CFG scale: 4.0, Seed: 8, "
    "Size: 512x512, Model: meadow, Denoising strength: 0.4, Hires resize: 1024x0, "
    "Hires upscaler: Latent, Version: v1.10.1"
)
DOOR = (
    "red door\nSteps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 11, Size: 512x512, Model hash: 4fa1b20c9d, "
    "Model: harbor_v3, Denoising strength: 0.75, Mask mode: Inpaint not masked, Mask blur: 4, "
    "Inpaint area: Only masked, Masked area padding: 32, Masked content: fill, Version: v1.8.0"
)
ORB = (
    "glass orb\nSteps: 20, Sampler: Euler, CFG scale: 7.0, Seed: 100, Size: 512x512, Variation seed: 2024, "
    "Variation seed strength: 0.25, Seed resize from: 512x768, RNG: CPU, Version: v1.8.0"
)
SHIP = (
    "tall ship\nSteps: 40, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 6, "
    "Size: 1024x1024, Model: xl_base, Refiner: xl_refiner [7440042bbd], "
    "Refiner switch at: 0.8, Version: v1.10.1"
)
MOSS = (
    "moss, ti-forest\nSteps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 12, Size: 512x512, Model: meadow, "
    'ENSD: 31337, Tiling: True, TI hashes: "ti-forest: 99aa88bb77cc", Eta: 0.67, Version: v1.8.0'
)
BEETLE = (
    "ein Käfer - „grün“\nNegative prompt: 低品質\nSteps: 12, Sampler: LCM, Schedule type: Automatic, "
    "CFG scale: 1.5, Seed: 4294967293, Size: 512x512, Model hash: 4fa1b20c9d, Model: harbor_v3, "
    'ControlNet 0: "Module: canny, Model: cn_canny [d14c016b], Weight: 1.0", Version: v1.10.1'
)
ONLY_NEGATIVE = (
    "Negative prompt: only a negative\n"
    "Steps: 4, Sampler: Euler, CFG scale: 1.0, Seed: 1, Size: 64x64, Version: v1.8.0"
)
NOTHING = "no fields, just: a prompt"
CIVITAI = (
    "score_9\nSteps: 30, Sampler: Euler a, CFG scale: 7, Seed: 970527942, Size: 832x1216, "
    'Hashes: {"model": "238ffac319", "lora:a": "12", "lora:b": "34"}, karras, Civitai metadata: '
    '{"prompt": "x, Steps: 99, Seed: 3", "resources": [{"id": 1}]}, Version: v1.10.0'
)
COMFYUI = (
    "a hill\nNegative prompt: \nSteps: 50, Sampler: DPM++ 3M SDE Karras, CFG scale: 3.6, "
    "Seed: 1087151610341875, Size: 768x1344, Model: Kolors v1, Version: ComfyUI"
)

TABLE: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        LIGHTHOUSE,
        {"prompt": "lighthouse", "steps": 20, "sampler": "Euler a", "scheduler": "uniform", "cfg_scale": 7.0}
        | {"seed": 1234567890, "width": 512, "height": 512, "noise_source": "nv", "clip_skip": 1},
        [],
    ),
    (
        SAILOR,
        {"negative_prompt": "lowres, (watermark:1.4)", "sampler": "DPM++ 2M", "scheduler": "Karras"}
        | {"height": 1216, "clip_skip": 2, "emphasis": "original", "step_noise": "path"},
        ["VAE hash: 235745af8d", "VAE: sdxl_vae.safetensors"],
    ),
    (
        FOX,
        {"sampler": "DPM++ SDE", "step_noise": "brownian_tree", "cfg_scale": 6.0, "width": 768},
        [
            "<lora:inkWash:0.8> in the prompt",
            "<lora:paper-grain:0.35:0.5> in the prompt",
        ],
    ),
    (
        STREET,
        {"prompt": 'city street\nat night, neon: pink, "OPEN" sign', "negative_prompt": "people\ncars"}
        | {"sampler": "UniPC", "scheduler": None},
        [],
    ),
    (
        CASTLE,
        {
            "sampler": "Euler",
            "scheduler": "uniform",
            "steps": 20,
            "img2img": None,
            "hires": HiresPass(
                scale=2.0,
                upscaler="R-ESRGAN 4x+",
                steps=12,
                denoising_strength=0.55,
                sampler="DPM++ 2M",
                scheduler="Karras",
                prompt="castle, sharp stone",
            ),
        },
        [],
    ),
    (
        PLUMS,
        {"sampler": "DDIM", "scheduler": None, "steps": 15}
        | {"hires": HiresPass(width=1024, upscaler="Latent", denoising_strength=0.4)},
        [],
    ),
    (
        DOOR,
        {"prompt": "red door", "seed": 11, "img2img": None, "inpaint": None},
        [
            "the picture to start from, which the text does not hold",
            "Denoising strength: 0.75",
            "Mask mode: Inpaint not masked",
            "Mask blur: 4",
            "Inpaint area: Only masked",
            "Masked area padding: 32",
            "Masked content: fill",
        ],
    ),
    (
        ORB,
        {"variation_seed": 2024, "variation_strength": 0.25, "noise_source": "cpu"}
        | {"seed_resize_width": 512, "seed_resize_height": 768, "width": 512, "height": 512},
        [],
    ),
    (SHIP, {"steps": 40, "refiner": Refiner(model="xl_refiner", switch_at=0.8)}, []),
    (
        MOSS,
        {"noise_seed_delta": 31337, "sampler_options": {"eta": 0.67}, "tiling": True},
        [],
    ),
    (
        ROBOT,
        {"scheduler": "Simple", "cfg_scale": 1.0, "model_options": {"guidance": 3.5}, "width": 896},
        [
            "Diffusion in Low Bits: Automatic (fp16 LoRA)",
            "Module 1: ae",
            "Module 2: clip_l",
            "Module 3: t5xxl_fp8_e4m3fn",
        ],
    ),
    (OLD, {"sampler": "DPM++ 2M Karras", "scheduler": None, "height": 704}, []),
    (
        BEETLE,
        {"prompt": "ein Käfer - „grün“", "negative_prompt": "低品質", "seed": 4294967293},
        ["ControlNet 0: Module: canny, Model: cn_canny [d14c016b], Weight: 1.0"],
    ),
    (ONLY_NEGATIVE, {"prompt": "", "negative_prompt": "only a negative", "width": 64}, []),
    (
        NOTHING,
        {"prompt": NOTHING, "steps": None, "sampler": None, "seed": -1},
        [
            "the seed, which the text does not tell",
            "the number of steps, which the text does not tell",
            "the sampler, which the text does not tell",
            "the CFG scale, which the text does not tell",
            "the size, which the text does not tell",
        ],
    ),
    (
        CIVITAI,
        {"sampler": "Euler a", "seed": 970527942, "steps": 30},
        [
            'Hashes: {"model": "238ffac319", "lora:a": "12", "lora:b": "34"}',
            'Civitai metadata: {"prompt": "x, Steps: 99, Seed: 3", "resources": [{"id": 1}]}',
            "karras",
        ],
    ),
    (
        COMFYUI,
        {"noise_source": "cpu", "seed": -1, "sampler": "DPM++ 3M SDE Karras", "step_noise": "brownian_tree"},
        ["Seed: 1087151610341875"],
    ),
]


NEEDED = "Steps: 4, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64"


def info_of(bench: ReplayBench, prediction: str = "eps") -> ModelInfo:
    return bench.context.library.find("gauss").model_copy(update={"prediction": prediction})


@pytest.mark.parametrize(("text", "expected", "left"), TABLE, ids=[text.split("\n")[0] for text, *_ in TABLE])
def test_texts_of_other_programs_become_requests(
    bench: ReplayBench, text: str, expected: dict[str, Any], left: list[str]
) -> None:
    request, not_carried_over = import_request(text, info_of(bench), bench.registries)
    assert {name: getattr(request, name) for name in expected} == expected
    assert not_carried_over == left


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Skip Early CFG: 0.2", {"guidance_start": 0.2}),
        (
            "NGMS: 1.5, NGMS all steps: True",
            {"negative_minimum_sigma": 1.5, "negative_minimum_sigma_all": True},
        ),
        ("Emphasis: No norm", {"emphasis": "no_norm"}),
        ("RNG: NV", {"noise_source": "nv"}),
        ("Eta DDIM: 0.5", {"sampler_options": {"eta": 0.5}}),
        (
            "Schedule rho: 5, Schedule min sigma: 0.1, Schedule max sigma: 0",
            {"sampler_options": {"rho": 5.0, "sigma_min": 0.1}},
        ),
    ],
)
def test_rarer_fields_are_taken(bench: ReplayBench, fields: str, expected: dict[str, Any]) -> None:
    text = f"a\n{NEEDED}, Schedule type: Karras, {fields}"
    request, left = import_request(text, info_of(bench), bench.registries)
    assert {name: getattr(request, name) for name in expected} == expected
    assert left == []


START, MASK = Path("start.png"), Path("mask.png")
PICTURES = {"img2img.image": START, "inpaint.mask": MASK}


@pytest.mark.parametrize(
    ("text", "img2img", "inpaint"),
    [
        (
            DOOR,
            Img2Img(image=START, denoising_strength=0.75),
            Inpaint(mask=MASK, invert=True, blur=4, area="only_masked", padding=32, content="fill"),
        ),
        (
            f"a\n{NEEDED}, Denoising strength: 0.4, Conditional mask weight: 0.5, Mask blur: 9, "
            "Soft inpainting enabled: True, Soft inpainting schedule bias: 2, "
            "Soft inpainting preservation strength: 0.75, Noise multiplier: 0.9",
            Img2Img(image=START, denoising_strength=0.4, noise_multiplier=0.9),
            Inpaint(
                mask=MASK,
                blur=9,
                conditioning_mask_weight=0.5,
                soft=SoftInpaint(schedule_bias=2, preservation_strength=0.75),
            ),
        ),
        (
            f"a\n{NEEDED}, Denoising strength: 0.4, Masked content: latent noise",
            Img2Img(image=START, denoising_strength=0.4),
            Inpaint(mask=MASK, blur=0, content="latent_noise"),
        ),
        (
            f"a\n{NEEDED}, Denoising strength: 0.4, Init image hash: 0123",
            Img2Img(image=START, denoising_strength=0.4),
            None,
        ),
        (f"a\n{NEEDED}, Conditional mask weight: 1.0", None, None),
    ],
)
def test_a_picture_that_is_given_is_drawn_on_as_the_text_says(
    bench: ReplayBench, text: str, img2img: Img2Img | None, inpaint: Inpaint | None
) -> None:
    request, left = import_request(text, info_of(bench), bench.registries, pictures=PICTURES)
    assert (request.img2img, request.inpaint, left) == (img2img, inpaint, [])


def test_a_form_is_filled_although_the_pictures_are_still_to_be_chosen(bench: ReplayBench) -> None:
    values, left = import_values(DOOR, info_of(bench), bench.registries)
    assert values["img2img"] == {"denoising_strength": 0.75}
    assert values["inpaint"]["content"] == "fill"
    assert left == []


def test_a_mask_that_is_not_given_is_told(bench: ReplayBench) -> None:
    text = f"a\n{NEEDED}, Denoising strength: 0.4, Mask blur: 9"
    request, left = import_request(text, info_of(bench), bench.registries, pictures={"img2img.image": START})
    assert request.img2img == Img2Img(image=START, denoising_strength=0.4)
    assert left == ["the mask, which the text does not hold", "Mask blur: 9"]


@pytest.mark.parametrize(
    ("fields", "hires"),
    [
        ("Hires upscale: 1.5, Hires sampler: Use same sampler, Hires steps: 0", HiresPass(scale=1.5)),
        (
            "Hires upscale: 2, Hires checkpoint: b [0123456789], Hires CFG Scale: 3",
            HiresPass(model="b", cfg_scale=3),
        ),
        ("Hires resize: 0x900, Hires Module 1: Use same choices", HiresPass(height=900)),
        ("Hires upscale: 2, Hires schedule type: Automatic", HiresPass(scheduler="uniform")),
        ("Hires upscale: 2, Hires schedule type: Automatic, Hires sampler: DDIM", HiresPass(sampler="DDIM")),
        ("First pass size: 64x96", HiresPass(width=128, height=192)),
    ],
)
def test_hires_fix_is_taken(bench: ReplayBench, fields: str, hires: HiresPass) -> None:
    needed = NEEDED.replace("64x64", "128x192")
    text = f"a\n{needed}, {fields}, Denoising strength: 0.7"
    request, left = import_request(text, info_of(bench), bench.registries)
    assert (request.hires, request.img2img, left) == (hires, None, [])
    assert request.width == (64 if "First" in fields else 128)


def test_another_vae_is_taken_where_it_is_here(bench: ReplayBench) -> None:
    library = bench.context.library
    folder = library.roots[0] / "VAE"
    folder.mkdir()
    (folder / "sdxl_vae.safetensors").write_bytes(b"")
    request, left = import_request(SAILOR, info_of(bench), bench.registries, library=library)
    assert (request.parts, left) == ({"autoencoder": "sdxl_vae.safetensors"}, [])


def test_models_of_further_passes_are_found_by_their_hash() -> None:
    text = infotext.read(f"a\n{NEEDED}, Hires checkpoint: b [0123456789], Refiner: sub/c [7440042BBD]")
    assert other_wanted_models(text) == {
        "hires.model": WantedModel(("b",), "0123456789"),
        "refiner.model": WantedModel(("sub/c",), "7440042bbd"),
    }


@pytest.mark.parametrize(
    "field",
    [
        "Steps: many",
        "CFG scale: -1",
        "Size: 9x9",
        "Eta: high",
        "RNG: dice",
        "Emphasis: loud",
        "Clip skip: 99",
        "Seed: -1",
        "Variation seed: -1",
        "Size: -64x64",
    ],
)
def test_values_that_cannot_be_are_left_and_told(bench: ReplayBench, field: str) -> None:
    text = f"a\n{NEEDED}, Schedule type: Karras, {field}"
    _, left = import_request(text, info_of(bench), bench.registries)
    assert left == [field]


@pytest.mark.parametrize(("more", "eta"), [("", 1.0), (", Eta: 0.3", 0.3)])
def test_a1111_runs_dpm_fast_at_full_eta(bench: ReplayBench, more: str, eta: float) -> None:
    text = f"a\nSteps: 20, Sampler: DPM fast, CFG scale: 7, Seed: 5{more}"
    request, _ = import_request(text, info_of(bench), bench.registries)
    assert request.sampler_options == {"eta": eta}


def test_flow_models_keep_their_own_schedule(bench: ReplayBench) -> None:
    assert import_request(LIGHTHOUSE, info_of(bench, "flow"), bench.registries)[0].scheduler is None


@given(st.text(max_size=300) | st.text('Steps: 1,\n"x-Size', max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_becomes_a_request(bench: ReplayBench, text: str) -> None:
    request, _ = import_request(text, info_of(bench), bench.registries)
    assert isinstance(request, GenerationRequest)


def test_an_infotext_alone_is_replayed_and_compared(bench: ReplayBench) -> None:
    picture = bench.draw("(a red apple:1.2)", sampler="euler_a", sampler_options={"eta": 0.5}, steps=6)
    text = bench.generate(
        "(a red apple:1.2)", seed=7, sampler="euler_a", sampler_options={"eta": 0.5}, steps=6
    )
    report = bench.replay(with_infotext(picture, text.images[0].infotext))
    assert (report.source, report.verdict, report.not_carried_over) == ("infotext", "same", ())
    assert report.differences == ()


def test_another_programs_picture_tells_the_program(bench: ReplayBench) -> None:
    fields = "Seed: 7, Size: 32x32, Model: gauss, Model hash: 4fa1b20c9d, Version: v1.10.1"
    text = f"a\nSteps: 4, Sampler: Euler, {fields}"
    report = bench.replay(with_infotext(bench.draw(), text))
    told = {difference.what: difference.then for difference in report.differences}
    assert told == {"program": "v1.10.1", "model hash": "4fa1b20c9d"}


def test_a_model_is_found_by_the_short_hash(bench: ReplayBench) -> None:
    picture = bench.draw()
    found = bench.add_model("other", b"its weights")
    short = hashlib.sha256(b"its weights").hexdigest()[:10].upper()
    text = f"a\nSteps: 4, Sampler: Euler, Seed: 7, Model hash: {short}, Model: nobody"
    assert bench.replay(with_infotext(picture, text)).record.request.model == found.stem


def test_a_model_is_found_by_the_old_short_hash(bench: ReplayBench) -> None:
    picture = bench.draw()
    content = bytes(range(256)) * 4500  # past the first MB
    found = bench.add_model("other", content)
    assert old_hash(found) == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
    text = f"a\nSteps: 4, Sampler: Euler, Seed: 7, Model hash: {old_hash(found)}"
    report = bench.replay(with_infotext(picture, text))
    assert report.record.request.model == "other"
    assert "model hash" not in [difference.what for difference in report.differences]


def test_the_model_of_another_pass_is_found_by_its_hash_and_pictures_come_from_the_changes(
    bench: ReplayBench,
) -> None:
    picture = bench.draw()
    bench.add_model("renamed", b"its weights")
    short = hashlib.sha256(b"its weights").hexdigest()[:10]
    fields = f"Model: gauss, Refiner: xl [{short}], Refiner switch at: 0.5, Denoising strength: 0.25"
    text = with_infotext(picture, f"a\n{NEEDED}, {fields}")
    for changes in ({"img2img.image": "x.png"}, {"img2img": {"image": "x.png"}}):
        remembered = remember(read_picture(text), ReplayRequest(path=text, changes=changes), bench.context)
        assert remembered.request.refiner == Refiner(model="renamed", switch_at=0.5)
        assert remembered.request.img2img == Img2Img(image=Path("x.png"), denoising_strength=0.25)
        assert list(remembered.not_carried_over) == []


def test_another_vae_than_the_texts_is_told(bench: ReplayBench) -> None:
    text = bench.generate(seed=7).images[0].infotext.replace("Version", "VAE hash: 4fa1b20c9d, Version")
    report = bench.replay(with_infotext(bench.draw(), text))
    assert [str(difference) for difference in report.differences] == [
        "VAE hash: 4fa1b20c9d then, nothing now"
    ]


def test_a_model_that_is_not_here_is_named(bench: ReplayBench) -> None:
    with pytest.raises(CannotReplay, match=r"The model 'harbor_v3' \(hash 4fa1b20c9d\) is not here"):
        bench.replay(with_infotext(bench.draw(), LIGHTHOUSE))


def test_a_text_without_a_model_takes_the_default_one_and_says_so(bench: ReplayBench) -> None:
    report = bench.replay(with_infotext(bench.draw(), f"a\n{NEEDED}"))
    assert report.not_carried_over == ("the model, which the text does not tell",)


def test_a_text_is_drawn_with_the_default_model_when_asked_to(bench: ReplayBench) -> None:
    picture = with_infotext(bench.draw(), f"a\n{NEEDED}, Model: nobody")
    report = bench.replay(picture, model=None)
    assert (report.record.request.model, report.not_carried_over) == ("gauss", ())


def test_the_json_of_other_programs_is_no_prompt(bench: ReplayBench) -> None:
    with pytest.raises(NoStory, match="does not tell how it was made"):
        bench.replay(with_infotext(bench.draw(), '{"prompt": "a cat", "steps": 30, "seed": "5"}'))


prompts = st.lists(st.text('abc ,:"()[]\\é低', max_size=12).map(str.strip).filter(bool), max_size=3).map(
    "\n".join
)
seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0, 1, allow_subnormal=False)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests as far as an infotext can carry them."""
    varied = draw(st.booleans())
    resized = draw(st.booleans())
    weighted = draw(st.booleans())
    fields = {
        "prompt": (draw(prompts) + "\n(a:1.3)" * weighted).strip(),
        "negative_prompt": draw(prompts),
        "emphasis": draw(st.sampled_from(["original", "no_norm", "ignore", "none"]))
        if weighted
        else "original",
        "clip_skip": draw(st.integers(1, 12)),
        "seed": draw(seeds),
        "steps": draw(st.integers(1, 1000)),
        "sampler": draw(st.sampled_from(["euler_a", "dpmpp_sde", "ddim"])),
        "scheduler": draw(st.sampled_from(["karras", "simple", "flow", "beta"])),
        "cfg_scale": draw(st.floats(0, 100, allow_subnormal=False)),
        "cfg_rescale": draw(shares),
        "guidance_start": draw(shares),
        "guidance_end": draw(shares),
        "negative_minimum_sigma": draw(st.floats(0, 1000, allow_subnormal=False)),
        "negative_minimum_sigma_all": draw(st.booleans()),
        "noise_seed_delta": draw(seeds),
        "noise_source": draw(st.sampled_from(["cpu", "nv"])),
        "step_noise": draw(st.sampled_from(["path", "brownian_tree"])),
        "width": draw(st.integers(16, 16384)),
        "height": draw(st.integers(16, 16384)),
        "sampler_options": {"eta": draw(shares), "s_noise": 1.25},
        "model_options": {"guidance": draw(shares)},
    }
    if varied:
        fields |= {"variation_seed": draw(seeds), "variation_strength": draw(st.floats(0.01, 1))}
    if resized:
        sides = st.integers(1, 16384)
        fields |= {"seed_resize_width": draw(sides), "seed_resize_height": draw(sides)}
    return fields


@given(requests())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_is_written_is_read_back(bench: ReplayBench, fields: dict[str, Any]) -> None:
    context = bench.context
    resolved = resolve(GenerationRequest(**fields), context)
    text = Provenance(resolved, {}, {}, {}).infotext(resolved.request.seed)
    request, left = import_request(text, resolved.info, bench.registries)
    again = resolve(request.model_copy(update={"model": "gauss"}), context).request
    same = resolved.request.model_copy(update={"model": "gauss"})
    assert again == same
    assert left == []


WRITTEN: dict[str, Any] = {
    "prompt": "a hill",
    "negative_prompt": "fog",
    "emphasis": "ignore",
    "clip_skip": 2,
    "seed": 9,
    "steps": 7,
    "sampler": "ddim",
    "scheduler": "karras",
    "cfg_scale": 3.5,
    "cfg_rescale": 0.5,
    "guidance_start": 0.1,
    "guidance_end": 0.9,
    "negative_minimum_sigma": 1.5,
    "negative_minimum_sigma_all": True,
    "variation_seed": 4,
    "variation_strength": 0.5,
    "seed_resize_width": 96,
    "seed_resize_height": 48,
    "noise_seed_delta": 31337,
    "noise_source": "nv",
    "step_noise": "brownian_tree",
    "width": 96,
    "height": 48,
    "sampler_options": {"eta": 0.5},
    "model_options": {"guidance": 2.0},
    "stages": {"glow": {"strength": 0.5}},
    "parts": {"autoencoder": "sdxl_vae"},
    "img2img": Img2Img(image=START, denoising_strength=0.5),
    "inpaint": Inpaint(mask=MASK, blur=2),
    "outpaint": Outpaint(left=64),
    "hires": HiresPass(scale=1.5),
    "refiner": Refiner(model="b"),
    "tiling": True,
    "face_restorer": "mend",
}
"""A value for every field of a request that has an infotext form."""
NOT_WRITTEN = {
    "model": "found by name and hash",
    "styles": "merged into the prompts",
    "regions": "told, but no picture is in a text",
    "batch_size": "a picture is one",
    "count": "a picture is one",
    "backend": "draws the same",
}


def test_every_field_of_a_request_has_an_infotext_form_or_needs_none() -> None:
    assert WRITTEN.keys() | NOT_WRITTEN.keys() == GenerationRequest.model_fields.keys()
    assert not WRITTEN.keys() & NOT_WRITTEN.keys()


@pytest.mark.parametrize("without", ["inpaint", "outpaint"])
def test_all_fields_together_are_read_as_they_were_written(bench: ReplayBench, without: str) -> None:
    registries = bench.registries
    stages = registries.stages.registrar("lights")
    stages.add("glow", lambda pixels, context: pixels, label="Glow", at="picture", options=(STRENGTH,))
    stages.commit()
    faces = registries.face_restorers.registrar("lights")
    faces.add("mend", lambda: None, label="Mend")
    faces.commit()
    values = {name: value for name, value in WRITTEN.items() if name != without}
    request = GenerationRequest(**{**values, "prompt": "a (hill:1.2)"})
    fields = {
        "Steps": request.steps,
        "Sampler": request.sampler,
        "Schedule type": request.scheduler,
        "CFG scale": request.cfg_scale,
        "Seed": request.seed,
        "Size": f"{request.width}x{request.height}",
        "Distilled CFG Scale": request.model_options["guidance"],
        **request_fields(request),
        **option_fields(request.sampler_options),
        **stage_fields({"glow": "Glow"}, request.stages),
        "Version": f"{OWN_VERSION}1",
    }
    text = infotext.write(request.prompt, request.negative_prompt, fields)
    imported, left = import_request(text, info_of(bench), registries, pictures=PICTURES)
    assert imported == request
    assert left == []


STRENGTH = Option(name="strength", default=1.0, description="How much.")


@pytest.mark.parametrize("label", ["Glow", "Seed", "x", "a: b, c"])
def test_stages_are_carried_under_their_labels(bench: ReplayBench, label: str) -> None:
    stages = bench.registries.stages.registrar("lights")
    options = (
        Option(name="strength", default=1.0, description="How much."),
        Option(name="mode", default="hard", description="Which light."),
    )
    stages.add("glow", lambda pixels, context: pixels, label=label, at="picture", options=options)
    stages.commit()
    values = {"strength": 0.5, "mode": "soft, warm: yes"}
    resolved = resolve(GenerationRequest(prompt="a", seed=1, stages={"glow": values}), bench.context)
    text = Provenance(resolved, {}, {}, {}).infotext(1)
    request, left = import_request(text, resolved.info, bench.registries)
    assert (request.stages, request.seed, left) == ({"glow": values}, 1, [])


def test_nothing_is_written_that_is_at_its_default(bench: ReplayBench) -> None:
    resolved = resolve(GenerationRequest(prompt="(a:1.2)", seed=1), bench.context)
    fields = infotext.read(Provenance(resolved, {}, {}, {}).infotext(1)).fields
    assert list(fields) == [
        "Steps", "Sampler", "Schedule type", "CFG scale", "Distilled CFG Scale", "Seed", "Size", "Model",
        "RNG", "Version",
    ]  # fmt: skip
