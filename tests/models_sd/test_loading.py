"""Loading: mapped weights, parts from elsewhere, stored types, diffusers folders, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfumato.errors import BadInput, CheckpointError, MissingPart
from sfumato.models import Placement
from sfumato_models_sd.family import SdFamily
from sfumato_models_sd.loading import prediction_by_weights
from sfumato_models_sd.model import SdModel
from sfumato_models_sd.unet import UNet

from ..tiny_models import sd, sd_folder
from .drawing import Wish, encoded, library, loaded, single_file

WISH = Wish()
AS_STORED = Placement(device="cpu", dtype="auto")
EVERY = {"sd15": sd.SD15, "sd21": sd.SD21, "sdxl": sd.SDXL, "refiner": sd.REFINER}


def estimate(model: SdModel, tiny: sd.TinySD) -> Tensor:
    options = {"zero_empty_negative": False} if tiny.is_xl else {}
    return model.denoise(WISH.noise() * 3, 2.0, [encoded(model, WISH.prompt, **options)], options)


def is_mapped(tensor: Tensor) -> bool:
    """Whether its memory is that of a file."""
    start = tensor.data_ptr()
    with open("/proc/self/maps") as maps:
        for line in maps:
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            if first <= start < last:
                return ".safetensors" in line
    return False


@pytest.mark.parametrize("tiny", EVERY.values(), ids=EVERY)
def test_a_folder_and_a_single_file_are_the_same_model(tiny: sd.TinySD, tmp_path: Path) -> None:
    file = single_file(tiny, tmp_path)
    folder = loaded(sd.write_folder(tiny, tmp_path / "models" / "folder"))
    assert folder.info.variant == file.info.variant
    torch.testing.assert_close(estimate(folder, tiny), estimate(file, tiny), rtol=1e-4, atol=1e-5)
    latents = WISH.noise()
    torch.testing.assert_close(folder.decode(latents), file.decode(latents), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="memory maps are listed on Linux only")
def test_weights_of_the_computed_type_stay_in_the_mapped_file(tmp_path: Path) -> None:
    model = single_file(sd.SDXL, tmp_path, dtype=torch.float32)
    for network in model.networks.values():
        assert all(is_mapped(parameter) for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_stored_types_are_read(dtype: torch.dtype, tmp_path: Path) -> None:
    found = estimate(single_file(sd.SDXL, tmp_path, dtype=dtype), sd.SDXL)
    weights = {
        name: tensor.to(dtype).float() if tensor.ndim else tensor
        for name, tensor in sd.SDXL.tensors().items()
    }
    rounded = tmp_path / "rounded" / "checkpoints" / "model.safetensors"
    rounded.parent.mkdir(parents=True)
    save_file(weights, rounded)
    sd.write_sd_tokenizer(tmp_path / "rounded" / "tokenizers" / "clip_l")
    torch.testing.assert_close(found, estimate(loaded(rounded), sd.SDXL), rtol=1e-4, atol=1e-5)


def test_float16_is_never_computed_on_a_cpu(tmp_path: Path) -> None:
    path = sd.write_single_file(sd.SDXL, tmp_path, "model", torch.float16)
    model = loaded(path, AS_STORED)
    assert {p.dtype for n in model.networks.values() for p in n.parameters()} == {torch.float32}
    with pytest.raises(BadInput, match="float16"):
        loaded(path, Placement(device="cpu", part_dtypes={"unet": "float16"}))


def test_each_part_may_compute_in_a_type_of_its_own(tmp_path: Path) -> None:
    path = sd.write_single_file(sd.SDXL, tmp_path, "model")
    model = loaded(path, Placement(device="cpu", dtype="float32", part_dtypes={"unet": "bfloat16"}))
    dtypes = {part: next(network.parameters()).dtype for part, network in model.networks.items()}
    assert dtypes.pop("unet") == torch.bfloat16
    assert set(dtypes.values()) == {torch.float32}
    assert estimate(model, sd.SDXL).isfinite().all()


def test_text_encoders_come_in_the_order_that_adapters_number_them(tmp_path: Path) -> None:
    assert list(single_file(sd.SDXL, tmp_path).networks) == [
        "unet",
        "clip_text",
        "clip_g_text",
        "autoencoder",
    ]


def test_a_vae_beside_the_checkpoint_is_found(tmp_path: Path) -> None:
    other = replace(sd.SDXL, seed=5)
    file = sd.write_vae(other, tmp_path, "sdxl_vae")
    model = single_file(sd.SDXL, tmp_path, vae=False)
    assert model.files["autoencoder"] == (file,)
    latents = WISH.noise()
    assert model.decode(latents).equal(single_file(other, tmp_path / "other").decode(latents))


def test_a_vae_that_is_asked_for_replaces_the_baked_one(tmp_path: Path) -> None:
    file = sd.write_vae(replace(sd.SDXL, seed=5), tmp_path, "mine")
    path = sd.write_single_file(sd.SDXL, tmp_path, "model")
    placement = Placement(device="cpu", dtype="float32", part_files={"autoencoder": file})
    assert loaded(path, placement).files["autoencoder"] == (file,)
    assert loaded(path).files["autoencoder"] == (path,)


def test_a_vae_may_have_matrices_in_place_of_convolutions_and_leftovers_of_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensors = {
        name: tensor[:, :, 0, 0].contiguous() if ".attn_1." in name and tensor.ndim == 4 else tensor
        for name, tensor in sd.SD15.tensors().items()
    }
    path = sd.write_single_file(sd.SD15, tmp_path, "model")
    whole = loaded(path)
    save_file({**tensors, "first_stage_model.loss.logvar": torch.zeros(())}, path)
    latents = WISH.noise()
    assert loaded(path).decode(latents).equal(whole.decode(latents))
    assert "not used" not in caplog.text


def test_sdxl_does_not_take_the_vae_of_sd1(tmp_path: Path) -> None:
    sd.write_vae(sd.SD15, tmp_path, "vae-ft-mse-840000-ema-pruned")
    with pytest.raises(MissingPart) as error:
        single_file(sd.SDXL, tmp_path, vae=False)
    assert "vae-ft-mse" in (error.value.why or "")
    assert "sdxl_vae.safetensors" in (error.value.hint or "")


def test_a_unet_alone_names_all_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "unet" / "model.safetensors"
    path.parent.mkdir()
    save_file(sd.SDXL.unet(), path)
    with pytest.raises(MissingPart) as error:
        loaded(path)
    for part in ("CLIP-L", "CLIP-G", "VAE"):
        assert part in str(error.value)


def test_a_unet_alone_finds_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "unet" / "model.safetensors"
    path.parent.mkdir()
    save_file(sd.SDXL.unet(), path)
    for name, part in (("clip_l", sd.SDXL.clip_text()), ("clip_g", sd.SDXL.open_clip_text())):
        target = tmp_path / "text_encoders" / f"{name}.safetensors"
        target.parent.mkdir(exist_ok=True)
        prefix = "conditioner.embedders.1.model." if name == "clip_g" else ""  # its width is no usual one
        save_file({prefix + key: tensor for key, tensor in part.items()}, target)
    sd.write_vae(sd.SDXL, tmp_path, "sdxl_vae")
    sd.write_sd_tokenizer(tmp_path / "tokenizers" / "clip_l")
    found = estimate(loaded(path), sd.SDXL)
    torch.testing.assert_close(found, estimate(single_file(sd.SDXL, tmp_path / "whole"), sd.SDXL))


def test_diffusers_converts_our_file_to_the_folder(tmp_path: Path) -> None:
    """Text encoders and autoencoder; the UNet is compared elsewhere."""
    checkpoint = load_file(sd.write_single_file(sd.SD15, tmp_path, "model"))
    folder = sd.write_folder(sd.SD15, tmp_path / "folder")
    config = sd_folder.vae_config(sd.SD15)
    converters: dict[str, Callable[[], dict[str, Tensor]]] = {
        "vae/diffusion_pytorch_model": lambda: single_file_utils.convert_ldm_vae_checkpoint(
            checkpoint, config
        ),
        "text_encoder/model": lambda: single_file_utils.convert_ldm_clip_checkpoint(checkpoint),
    }
    for name, convert in converters.items():
        stored, converted = load_file(folder / f"{name}.safetensors"), convert()
        assert converted.keys() == stored.keys()
        assert all(converted[key].equal(tensor) for key, tensor in stored.items())


def test_a_truncated_file_is_an_error_in_words(tmp_path: Path) -> None:
    path = sd.write_single_file(sd.SD15, tmp_path, "model")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError) as error:
        loaded(path)
    assert error.value.hint


def test_a_text_encoder_that_lacks_a_tensor_is_an_error_in_words(tmp_path: Path) -> None:
    path = sd.write_single_file(sd.SD15, tmp_path, "model")
    tensors = load_file(path)
    del tensors["cond_stage_model.transformer.text_model.final_layer_norm.weight"]
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match="do not fit") as error:
        loaded(path)
    assert "final_layer_norm" in (error.value.why or "")


def test_a_tokenizer_of_another_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="another text encoder"):
        single_file(sd.SD15, tmp_path, tokenizer=False)  # CLIP's own vocabulary is larger than the tiny one


def test_a_scale_that_is_none_is_refused(tmp_path: Path) -> None:
    tiny = replace(sd.SD15, metadata={"sfumato.latent_scale": "many"})
    with pytest.raises(CheckpointError, match="scale of latents"):
        single_file(tiny, tmp_path)


def test_the_spread_of_a_norm_tells_what_sd2_predicts() -> None:
    tiny = replace(sd.SD21, channels=(64, 64, 64, 64), depths=(1, 1, 1, 0), residual_blocks=2)
    telling = "output_blocks.11.1.transformer_blocks.0.norm1.bias"
    unet = UNet(tiny.unet_config).requires_grad_(False)
    for spread, prediction in ((0.2, "v"), (0.05, "eps")):
        values = torch.linspace(-1, 1, 64)
        unet.get_parameter(telling).copy_(values / values.std() * spread)
        assert prediction_by_weights(unet) == prediction


def test_another_file_than_detected_is_an_error(tmp_path: Path) -> None:
    path = sd.write_single_file(sd.SD15, tmp_path, "model")
    model = loaded(path)
    sd.write_vae(sd.SD15, tmp_path, "vae").replace(path)
    with pytest.raises(CheckpointError, match="no UNet"):
        SdFamily().load(model.info, library(tmp_path), AS_STORED)
