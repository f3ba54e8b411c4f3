"""GGUF files of whole models and of parts, as other programs write them: detected, loaded, drawn with.

The expected pictures come from the same families with plain weights of the very numbers that the gguf package
reads out of those files.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch

from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, T5_ENCODER
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_gguf import t5_names

from ..tiny_models import sd
from ..tiny_models.chroma import TinyChroma, write_chroma_parts
from ..tiny_models.files import save, write_parts, write_transformer
from ..tiny_models.flux import TinyFlux
from ..tiny_models.sd3 import SD3, SD35_MEDIUM, TinySD3, write_sd3_parts
from .files import add, write_gguf
from .models import as_stored, assert_draws_like, drawn, library, loaded, plain_numbers

FLUX = TinyFlux(guidance=True)
LLAMA_CPP = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5ENCODER, 2)


def llama_cpp_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names that llama.cpp's converter gives, by the gguf package."""
    return {str(LLAMA_CPP.get_name(name, (".weight",))): tensor for name, tensor in tensors.items()}


@pytest.fixture
def flux_parts(tmp_path: Path) -> Path:
    write_parts(FLUX, tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q4_0", "F16", "BF16"])
def test_a_flux_transformer_draws_as_its_numbers_do(flux_parts: Path, kind: str) -> None:
    models = flux_parts / "diffusion_models"
    file = write_gguf(models / "flux.gguf", FLUX.transformer(), quantised=kind)
    plain = save(models / "flux.safetensors", as_stored(FLUX.transformer(), kind))
    info = library(flux_parts).detect(file)
    assert (info.family, info.variant, info.format, info.parts[0].dtype) == ("flux", "dev", "gguf", kind)
    assert_draws_like(loaded(file, flux_parts), loaded(plain, flux_parts))


@pytest.mark.parametrize("kind", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"])
def test_a_flux_and_its_text_encoder_in_blocks_of_256_draw_as_their_numbers_do(
    tmp_path: Path, kind: str
) -> None:
    wide = TinyFlux(heads=4, head_size=64, context_size=256, vector_size=256, single_blocks=1)
    write_parts(wide, tmp_path)
    encoder = tmp_path / "text_encoders" / "t5xxl_fp16.safetensors"
    plain = save(tmp_path / "plain.safetensors", as_stored(wide.transformer(), kind))
    save(encoder, as_stored(wide.t5(), kind))
    expected = loaded(plain, tmp_path)
    encoder.rename(tmp_path / "set-aside")
    file = write_gguf(tmp_path / "flux.gguf", wide.transformer(), quantised=kind)
    write_gguf(encoder.with_suffix(".gguf"), llama_cpp_names(wide.t5()), quantised=kind)
    found = loaded(file, tmp_path)
    for network, layer in (("transformer", "double_blocks.0.img_attn.qkv"), (T5_ENCODER, "shared")):
        weight = found.networks[network].get_submodule(layer).weight
        assert isinstance(weight, WeightTensor)
        assert weight.stored.kind == kind
    assert_draws_like(found, expected)


def test_a_chroma_draws_as_its_numbers_do(tmp_path: Path) -> None:
    tiny = TinyChroma()
    write_chroma_parts(tiny, tmp_path)
    file = write_gguf(tmp_path / "unet" / "chroma.gguf", tiny.transformer(), quantised="Q5_0")
    plain = save(tmp_path / "unet" / "plain.safetensors", as_stored(tiny.transformer(), "Q5_0"))
    assert library(tmp_path).detect(file).family == "chroma"
    assert_draws_like(loaded(file, tmp_path), loaded(plain, tmp_path))


def test_quantised_weights_stay_in_their_blocks(flux_parts: Path) -> None:
    file = write_gguf(flux_parts / "flux.gguf", FLUX.transformer())
    model = loaded(file, flux_parts)
    weight = model.networks["transformer"].double_blocks[0].img_attn.qkv.weight
    assert isinstance(weight, WeightTensor)
    assert weight.stored.kind == "Q8_0"
    assert weight.stored.nbytes == weight.numel() // 32 * 34


def test_projections_stored_apart_are_stacked_in_their_blocks(flux_parts: Path) -> None:
    from ..tiny_models.oracle import split_for_diffusers, transformer

    split = split_for_diffusers(FLUX.transformer(), transformer(FLUX).state_dict())
    file = write_gguf(flux_parts / "flux.gguf", split)
    plain = write_transformer(FLUX, flux_parts / "flux.safetensors")
    save(plain, as_stored(FLUX.transformer()))
    model = loaded(file, flux_parts)
    weight = model.networks["transformer"].double_blocks[0].img_attn.qkv.weight
    assert isinstance(weight, WeightTensor)
    assert weight.stored.nbytes == weight.numel() // 32 * 34
    assert_draws_like(model, loaded(plain, flux_parts))


def test_a_t5_of_llama_cpp_is_taken_for_what_it_is(flux_parts: Path) -> None:
    encoders = flux_parts / "text_encoders"
    (encoders / "t5xxl_fp16.safetensors").unlink()
    file = encoders / "t5-v1_1-xxl-encoder-Q8_0.gguf"
    write_gguf(file, llama_cpp_names(FLUX.t5()), architecture="t5encoder")
    flux = write_transformer(FLUX, flux_parts / "flux.safetensors")
    model = loaded(flux, flux_parts)
    assert model.files[T5_ENCODER] == (file,)
    found = drawn(model)
    file.unlink()
    save(encoders / "t5xxl_fp16.safetensors", as_stored(FLUX.t5()))
    torch.testing.assert_close(found, drawn(loaded(flux, flux_parts)), atol=4e-4, rtol=0)


def test_every_name_of_llama_cpps_t5_is_known() -> None:
    for name in FLUX.t5():
        assert t5_names.transformers_name(str(LLAMA_CPP.get_name(name, (".weight",)))) == name


def test_the_decoder_of_a_whole_t5_is_left_alone(tmp_path: Path) -> None:
    names = llama_cpp_names(FLUX.t5())
    decoder = {f"dec{name[3:]}": tensor for name, tensor in names.items() if name.startswith("enc.")}
    file = write_gguf(tmp_path / "t5.gguf", names | decoder, architecture="t5")
    assert set(library(tmp_path).header(file).tensors) == set(FLUX.t5())


def test_a_t5_in_plain_halves_comes_before_a_quantised_one(flux_parts: Path) -> None:
    quantised = flux_parts / "text_encoders" / "t5xxl-Q8_0.gguf"
    write_gguf(quantised, llama_cpp_names(FLUX.t5()), architecture="t5encoder")
    model = loaded(write_transformer(FLUX, flux_parts / "flux.safetensors"), flux_parts)
    assert model.files[T5_ENCODER] == (flux_parts / "text_encoders" / "t5xxl_fp16.safetensors",)


def test_a_t5_in_pieces_is_one_t5(flux_parts: Path) -> None:
    """As gguf-split leaves it: names, the encoder's first block among them, are in any of the pieces."""
    (flux_parts / "text_encoders" / "t5xxl_fp16.safetensors").unlink()
    tensors = list(llama_cpp_names(FLUX.t5()).items())
    pieces = [flux_parts / "text_encoders" / f"t5xxl-Q8_0-0000{number}-of-00002.gguf" for number in (1, 2)]
    for piece, some in zip(pieces, (tensors[12:], tensors[:12]), strict=True):
        write_gguf(piece, dict(some), architecture="t5encoder")
    model = loaded(write_transformer(FLUX, flux_parts / "flux.safetensors"), flux_parts)
    assert model.files[T5_ENCODER] == tuple(pieces)


def test_an_autoencoder_is_taken_from_a_gguf_file(flux_parts: Path) -> None:
    (flux_parts / "vae" / "ae.safetensors").unlink()
    file = write_gguf(flux_parts / "vae" / "ae.gguf", FLUX.autoencoder(), quantised="F16", plain="F16")
    flux = write_transformer(FLUX, flux_parts / "flux.safetensors")
    model = loaded(flux, flux_parts)
    assert model.files[AUTOENCODER] == (file,)
    found = drawn(model)
    file.unlink()
    save(flux_parts / "vae" / "ae.safetensors", as_stored(FLUX.autoencoder(), "F16", "F16"))
    torch.testing.assert_close(found, drawn(loaded(flux, flux_parts)), atol=4e-4, rtol=0)


def test_a_whole_stable_diffusion_1_in_one_file_needs_nothing_else(tmp_path: Path) -> None:
    tensors = sd.SD15.tensors()
    file = write_gguf(tmp_path / "checkpoints" / "sd15.gguf", tensors, architecture="sd1", plain="F16")
    plain = save(tmp_path / "checkpoints" / "plain.safetensors", as_stored(tensors, plain="F16"))
    sd.write_sd_tokenizer(tmp_path / "tokenizers" / "clip_l")
    model = loaded(file, tmp_path)
    assert {path for files in model.files.values() for path in files if path.suffix == ".gguf"} == {file}
    assert_draws_like(model, loaded(plain, tmp_path))


def stable_diffusion_cpp_tensors(tiny: sd.TinySD) -> dict[str, torch.Tensor]:
    """A whole SDXL as stable-diffusion.cpp renames it: OpenCLIP, but for its projection, as transformers."""
    assert tiny.open_clip
    clip_g = sd.from_open_clip(tiny.open_clip_text(), tiny.open_clip.layers, projection=False)
    clip_g["text_model.text_projection"] = tiny.open_clip_text()["text_projection"]
    parts = {
        "model.diffusion_model.": tiny.unet(),
        "first_stage_model.": tiny.autoencoder(),
        "cond_stage_model.transformer.": tiny.clip_text(),
        "cond_stage_model.1.transformer.": clip_g,
    }
    return {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}


def test_a_whole_sdxl_of_stable_diffusion_cpp_draws_as_its_numbers_do(tmp_path: Path) -> None:
    """It quantises whatever has 32 numbers in a row, biases and norms too, and says no architecture."""
    theirs = stable_diffusion_cpp_tensors(sd.SDXL)
    file = write_gguf(tmp_path / "checkpoints" / "sdxl.gguf", theirs, architecture="", vectors=True)
    stored = as_stored(theirs, vectors=True)
    plain = save(tmp_path / "checkpoints" / "plain.safetensors", _as_published(stored))
    sd.write_sd_tokenizer(tmp_path / "tokenizers" / "clip_l")
    model = loaded(file, tmp_path)
    assert {path for files in model.files.values() for path in files if path.suffix == ".gguf"} == {file}
    expected = loaded(plain, tmp_path)
    assert_draws_like(model, expected)
    found, wanted = (
        plain_numbers(one.networks[CLIP_G_TEXT].text_projection.weight) for one in (model, expected)
    )
    assert torch.equal(found, wanted)  # turned round, it cannot stay in its blocks


def _as_published(renamed: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Under the names of the files that SDXL came in; the second encoder stays as transformers have it."""
    names = {
        "cond_stage_model.1.": "conditioner.embedders.1.",
        "cond_stage_model.": "conditioner.embedders.0.",
    }
    found = {}
    for name, tensor in renamed.items():
        for theirs, published in names.items():
            name = name.replace(theirs, published)
        if name.endswith("text_model.text_projection"):
            name, tensor = name.replace("text_model.text_projection", "text_projection.weight"), tensor.T
        found[name] = tensor
    return found


@pytest.mark.parametrize(
    ("tiny", "kind"),
    [(sd.SD15, "Q8_0"), (sd.SDXL, "Q8_0"), (sd.SDXL, "Q4_K")],
    ids=["sd15", "sdxl", "sdxl-k"],
)
def test_a_unet_whose_convolutions_were_stored_in_rows_has_its_shapes(
    tmp_path: Path, tiny: sd.TinySD, kind: str
) -> None:
    """ComfyUI-GGUF's converter cuts what has no rows of whole blocks into rows of 256."""
    unet = tiny.unet()
    rows = {
        name: tensor.reshape(-1, 256)
        for name, tensor in unet.items()
        if tensor.ndim > 1 and tensor.shape[-1] % 256 and tensor.numel() >= 512 and not tensor.numel() % 256
    }
    assert any(unet[name].ndim == 4 for name in rows)

    def with_shapes(writer: gguf.GGUFWriter) -> None:
        for name in rows:
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(unet[name].shape))

    file = tmp_path / "unet" / "small.gguf"
    write_gguf(file, {**unet, **rows}, architecture=tiny.variant, quantised=kind, finish=with_shapes)
    left = as_stored({**unet, **rows}, kind)
    stored = {name: tensor.view(unet[name].shape) for name, tensor in left.items()}
    whole = {f"model.diffusion_model.{name}": tensor for name, tensor in stored.items()}
    plain = save(tmp_path / "checkpoints" / "whole.safetensors", {**tiny.tensors(), **whole})
    sd.write_sd_tokenizer(tmp_path / "tokenizers" / "clip_l")
    _write_sd_parts(tiny, tmp_path)
    model = loaded(file, tmp_path)
    assert_draws_like(model, loaded(plain, tmp_path))
    convolution = model.networks["unet"].input_blocks[1][0].in_layers[2].weight
    assert isinstance(convolution, WeightTensor)


def _write_sd_parts(tiny: sd.TinySD, folder: Path) -> None:
    sd.write_vae(tiny, folder, "sdxl_vae" if tiny.is_xl else "vae-ft-mse")
    save(folder / "text_encoders" / "clip_l.safetensors", tiny.clip_text())
    if tiny.is_xl:
        save(folder / "text_encoders" / "clip_g.safetensors", tiny.open_clip_text())


@pytest.mark.parametrize("tiny", [SD3, SD35_MEDIUM], ids=["sd3", "sd35_medium"])
@pytest.mark.parametrize("squeezed", [True, False])
def test_a_stable_diffusion_3_has_its_positions_though_ggml_drops_leading_ones(
    tmp_path: Path, tiny: TinySD3, squeezed: bool
) -> None:
    write_sd3_parts(tiny, tmp_path)
    tensors = tiny.transformer()
    if squeezed:
        tensors["pos_embed"] = tensors["pos_embed"][0]
    file = write_gguf(tmp_path / "diffusion_models" / "sd3.gguf", tensors, architecture="sd3")
    plain = save(tmp_path / "diffusion_models" / "plain.safetensors", as_stored(tiny.transformer()))
    assert_draws_like(loaded(file, tmp_path), loaded(plain, tmp_path))


def test_a_split_model_is_read_by_its_first_piece(flux_parts: Path) -> None:
    folder = flux_parts / "diffusion_models"
    folder.mkdir()
    first, second = (folder / f"flux-0000{number}-of-00002.gguf" for number in (1, 2))
    tensors = list(FLUX.transformer().items())
    for file, piece in ((first, tensors[:10]), (second, tensors[10:])):
        writer = gguf.GGUFWriter(file, "flux")
        for name, tensor in piece:
            add(writer, name, tensor, "F32")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    shelf = library(flux_parts)
    assert [info.path for info in shelf.models()] == [first]
    assert not shelf.problems
    assert shelf.files("diffusion_models") == [first]
    model = loaded(first, flux_parts)
    assert model.files["transformer"] == (first, second)
    assert_draws_like(model, loaded(write_transformer(FLUX, flux_parts / "flux.safetensors"), flux_parts))
