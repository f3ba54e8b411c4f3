"""Checkpoints as other programs pack them: detected as plain ones are, and drawn with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.models import Placement, PromptText
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.model import FluxModel
from sfumato_models_sd.family import SdFamily
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_bnb.eight_bit import Int8

from ..models_flux.drawing import Wish, picture
from ..tiny_models import TinyFlux, sd, write_parts, write_tokenizers
from ..tiny_models.files import save
from .packed_files import is_packed, library, unpacked, with_four_bits

TINY = TinyFlux()
WISH = Wish(width=32, height=32, steps=2)
FLOAT32 = Placement(device="cpu", dtype="float32")
QKV = "double_blocks.0.img_attn.qkv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_parts(TINY, folder)
    return folder


def loaded(path: Path, folder: Path) -> FluxModel:
    models = library(folder)
    return FluxFamily().load(models.detect(path), models, FLOAT32)


def drawn(tensors: dict[str, Tensor], folder: Path, name: str, **given: object) -> Tensor:
    return picture(loaded(save(folder / name, tensors, **given), folder), WISH)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_a_flux_packed_by_bitsandbytes_draws_what_its_numbers_say(
    folder: Path, kind: str, nested: bool, prefix: str
) -> None:
    plain = {prefix + name: tensor for name, tensor in TINY.transformer().items()}
    expected = drawn(unpacked(plain, kind, nested=nested), folder, "plain.safetensors")
    found = drawn(with_four_bits(plain, kind, nested=nested), folder, "packed.safetensors")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_packed_flux_is_detected_as_the_plain_one_and_stays_packed(folder: Path) -> None:
    models = library(folder)
    plain = models.detect(save(folder / "plain.safetensors", TINY.transformer()))
    path = save(folder / "packed.safetensors", with_four_bits(TINY.transformer(), "nf4"))
    packed = models.detect(path)
    assert packed.sizes == plain.sizes
    assert packed.parts[0].parameters == plain.parts[0].parameters
    assert packed.parts[0].dtype == "NF4"
    weight = loaded(path, folder).transformer.get_submodule(QKV).weight
    assert isinstance(weight, WeightTensor)
    assert weight.stored.kind == "NF4"


def test_a_packed_t5_beside_a_plain_model_is_read(folder: Path, tmp_path: Path) -> None:
    write_tokenizers(tmp_path / "tokenizers")
    t5 = TINY.t5()
    tables = ("shared.weight", "relative_attention_bias.weight")
    matrices = {name: tensor for name, tensor in t5.items() if not name.endswith(tables)}
    kept = {name: tensor for name, tensor in t5.items() if name.endswith(tables)}
    for name, part in {"vae/ae": TINY.autoencoder(), "text_encoders/clip_l": TINY.clip()}.items():
        save(tmp_path / f"{name}.safetensors", part)
    save(tmp_path / "text_encoders/t5xxl_nf4.safetensors", {**kept, **with_four_bits(matrices, "nf4")})
    found = drawn(TINY.transformer(), tmp_path, "flux.safetensors")
    save(tmp_path / "text_encoders/t5xxl_nf4.safetensors", {**kept, **unpacked(matrices, "nf4")})
    expected = drawn(TINY.transformer(), tmp_path, "flux.safetensors")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_stable_diffusion_packed_by_bitsandbytes_draws_what_its_numbers_say(tmp_path: Path) -> None:
    plain = load_file(sd.write_sdxl(tmp_path))
    inside = {name: t for name, t in plain.items() if name.startswith("model.diffusion_model.")}
    options = {"zero_empty_negative": False}

    def estimate(unet: dict[str, Tensor], name: str) -> Tensor:
        models = library(tmp_path)
        path = save(tmp_path / name, {**plain, **unet})
        model = SdFamily().load(models.detect(path), models, FLOAT32)
        text = model.condition(PromptText(((("a cat", 1.0),),)), options)
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        return model.denoise(noise, 2.0, [text], options)

    found = estimate(with_four_bits(inside, "nf4"), "packed.safetensors")
    expected = estimate(unpacked(inside, "nf4"), "numbers.safetensors")
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def with_eight_bits(order: int) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, tensor in TINY.transformer().items():
        found[name] = tensor
        if is_packed(name, tensor):
            stored = Int8().pack(tensor, "cpu").stored
            layer = name.removesuffix(".weight")
            found[name], found[f"{layer}.SCB"] = stored.packed, stored.largest
            found[f"{layer}.weight_format"] = torch.tensor(order, dtype=torch.uint8)
    return found


def test_a_flux_in_int8_draws_what_its_numbers_say(folder: Path) -> None:
    tensors = TINY.transformer()
    numbers = {n: Int8().pack(t, "cpu").plain() if is_packed(n, t) else t for n, t in tensors.items()}
    found = drawn(with_eight_bits(0), folder, "int8.safetensors")
    expected = drawn(numbers, folder, "numbers.safetensors")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_int8_in_the_order_of_old_gpus_is_refused(folder: Path) -> None:
    path = save(folder / "turing.safetensors", with_eight_bits(2))
    with pytest.raises(CheckpointError, match="order that only old GPUs knew"):
        library(folder).detect(path)


def scaled(
    names: tuple[str, str] = ("scale_weight", "scale_input"), *, by_output: bool = False, marks: bool = True
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Scaled fp8 as ComfyUI has it, and the plain numbers that it means."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Tensor] = {}
    for name, tensor in TINY.transformer().items():
        tensors[name] = numbers[name] = tensor
        if not is_packed(name, tensor):
            continue
        scale = (tensor.abs().amax(1, keepdim=True) if by_output else tensor.abs().max()) / 448
        tensors[name] = (tensor / scale).to(torch.float8_e4m3fn)
        numbers[name] = tensors[name].float() * scale
        layer = name.removesuffix(".weight")
        tensors[f"{layer}.{names[0]}"] = scale.clone()
        tensors[f"{layer}.{names[1]}"] = torch.tensor(0.5)
        if names[0] == "weight_scale" and marks:
            text = json.dumps({"format": "float8_e4m3fn", "full_precision_matrix_mult": True})
            tensors[f"{layer}.comfy_quant"] = torch.tensor(list(text.encode()), dtype=torch.uint8)
    if names[0] == "scale_weight" and marks:
        tensors["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
    return tensors, numbers


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("by_output", [True, False])
@pytest.mark.parametrize("names", [("scale_weight", "scale_input"), ("weight_scale", "input_scale")])
def test_scaled_fp8_draws_what_its_numbers_say(
    folder: Path, names: tuple[str, str], by_output: bool, marks: bool
) -> None:
    tensors, numbers = scaled(names, by_output=by_output, marks=marks)
    path = save(folder / "scaled.safetensors", tensors)
    model = loaded(path, folder)
    assert model.transformer.get_submodule(QKV).weight.stored.kind == "float8_e4m3fn"
    expected = drawn(numbers, folder, "numbers.safetensors")
    torch.testing.assert_close(picture(model, WISH), expected, rtol=1e-4, atol=1e-4)


def test_layers_said_to_be_fp8_without_a_scale_are_plain_fp8(folder: Path) -> None:
    tensors, _ = scaled(("weight_scale", "input_scale"))
    del tensors[f"{QKV}.weight_scale"]
    models = library(folder)
    path = save(folder / "said.safetensors", tensors)
    assert set(models.header(path).tensors) == set(TINY.transformer())
    opened = models.open_tensors(path)[f"{QKV}.weight"]
    assert opened.dtype == torch.float8_e4m3fn
    assert not isinstance(opened, WeightTensor)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_plain_fp8_stays_so_and_draws_what_its_numbers_say(folder: Path, dtype: torch.dtype) -> None:
    narrow = {name: tensor.to(dtype) for name, tensor in TINY.transformer().items()}
    path = save(folder / "fp8.safetensors", narrow)
    model = loaded(path, folder)
    assert model.transformer.get_submodule(QKV).weight.stored.data.dtype == dtype
    wide = {name: tensor.float() for name, tensor in narrow.items()}
    expected = drawn(wide, folder, "wide.safetensors")
    torch.testing.assert_close(picture(model, WISH), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ({".comfy_quant": {"format": "nvfp4"}, ".weight_scale": 1, ".weight_scale_2": 1}, "NVFP4"),
        ({".comfy_quant": {"format": "mxfp8"}, ".weight_scale": 1}, "ComfyUI's quantised"),
        ({".qweight": 1, ".wscales": 1}, "SVDQuant"),
    ],
)
def test_forms_that_are_not_read_are_refused_with_what_to_get(
    folder: Path, beside: dict[str, object], told: str
) -> None:
    tensors = TINY.transformer()
    for ending, value in beside.items():
        text = json.dumps(value).encode()
        tensors[QKV + ending] = torch.tensor(list(text), dtype=torch.uint8)
    path = save(folder / "other.safetensors", tensors)
    with pytest.raises(CheckpointError, match=rf"{told} weights, which no plugin reads.*GGUF, NF4"):
        library(folder).detect(path)


@pytest.mark.parametrize(
    ("scale", "told"),
    [("weight_scale_inv", "for each block"), ("weight_scale", "scaled float8")],
    ids=["DeepSeek's blocks", "MXFP8 said in the metadata"],
)
def test_fp8_with_scales_of_blocks_is_never_read_without_them(folder: Path, scale: str, told: str) -> None:
    tensors = TINY.transformer()
    tensors[f"{QKV}.weight"] = tensors[f"{QKV}.weight"].to(torch.float8_e4m3fn)
    tensors[f"{QKV}.{scale}"] = torch.ones(6, 2, dtype=torch.uint8)
    said = {"_quantization_metadata": json.dumps({"layers": {QKV: {"format": "mxfp8"}}})}
    path = folder / "blocks.safetensors"
    save_file(tensors, path, metadata=said)
    with pytest.raises(CheckpointError, match=told):
        library(folder).detect(path)


@pytest.mark.parametrize(
    "said", ["[1]", "{", '{"layers": 3}', '{"layers": {"a": 1}}', '{"layers": {"a": {}}}']
)
def test_metadata_of_another_kind_says_nothing_of_layers(tmp_path: Path, said: str) -> None:
    path = tmp_path / "x.safetensors"
    weight = torch.randn(8, 8).to(torch.float8_e4m3fn)
    save_file({"a.weight": weight, "a.weight_scale": torch.ones(())}, path, {"_quantization_metadata": said})
    assert set(library(tmp_path).header(path).tensors) == {"a.weight"}


@pytest.mark.parametrize("tiny", [sd.SD15, sd.SDXL], ids=["sd15", "sdxl"])
def test_a_diffusers_folder_packed_by_bitsandbytes_draws_what_its_numbers_say(
    tiny: sd.TinySD, tmp_path: Path
) -> None:
    folder = sd.write_folder(tiny, tmp_path / "models" / "folder")
    (file,) = (folder / "unet").glob("*.safetensors")
    plain = load_file(file)
    options = {"zero_empty_negative": False} if tiny.is_xl else {}

    def estimate(unet: dict[str, Tensor]) -> Tensor:
        save(file, unet)
        models = library(tmp_path)
        model = SdFamily().load(models.detect(folder), models, FLOAT32)
        text = model.condition(PromptText(((("a cat", 1.0),),)), options)
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        return model.denoise(noise, 2.0, [text], options)

    found = estimate(with_four_bits(plain, "nf4", nested=True))
    expected = estimate(unpacked(plain, "nf4", nested=True))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
