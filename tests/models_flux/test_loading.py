"""Weights on their way into the networks: where parts are found, what they compute in, what is copied."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import BadInput
from sfumato.models import LoadedModel, Placement, PromptText
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.latent_space import LatentScaling
from sfumato_models_flux.model import FluxModel

from ..tiny_models import (
    TinyFlux,
    library_of,
    write_all_in_one,
    write_parts,
    write_tokenizers,
    write_transformer,
)
from ..tiny_models.files import save

TINY = TinyFlux()


def load(path: Path, root: Path, placement: Placement | None = None, **options) -> FluxModel:
    library = library_of(root)
    info = library.detect(path)
    info = info.model_copy(update={"options": {**info.options, **options}})
    return FluxFamily().load(info, library, placement or Placement())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An all-in-one file in float32 with its tokenizers beside it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_tokenizers(folder / "tokenizers")
    return write_all_in_one(TINY, folder / "all.safetensors")


def modules(model: FluxModel) -> dict[str, torch.nn.Module]:
    return {
        "transformer": model.transformer,
        "clip": model.prompts.clip,
        "t5": model.prompts.t5,
        "autoencoder": model.autoencoder,
    }


def dtypes(model: FluxModel) -> dict[str, set[torch.dtype]]:
    return {name: {p.dtype for p in module.parameters()} for name, module in modules(model).items()}


def mapped(tensor: torch.Tensor, path: Path) -> bool:
    """Whether the tensor's memory is a mapping of this file."""
    address = tensor.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, name = line.split(maxsplit=5)
        start, end = (int(bound, 16) for bound in span.split("-"))
        if start <= address < end:
            return name == str(path)
    return False


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_in_the_compute_type_stay_mapped_from_the_file(tmp_path: Path, dtype: torch.dtype) -> None:
    write_tokenizers(tmp_path / "tokenizers")
    path = write_all_in_one(TINY, tmp_path / "all.safetensors", dtype)
    model = load(path, tmp_path, Placement(dtype=str(dtype).removeprefix("torch.")))
    for module in modules(model).values():
        assert all(mapped(parameter, path) for parameter in module.parameters())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_norms_under_the_names_of_newer_comfyui_are_mapped_too(tmp_path: Path) -> None:
    write_parts(TINY, tmp_path)
    tensors = {n.replace("_norm.scale", "_norm.weight"): tensor for n, tensor in TINY.transformer().items()}
    path = save(tmp_path / "x.safetensors", tensors)
    loaded = load(path, tmp_path).transformer.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in TINY.transformer().items())
    assert all(mapped(tensor, path) for tensor in loaded.values())


@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_small_models_of_more_exact_types_than_bfloat16_compute_in_float32_on_a_cpu(
    tmp_path: Path, stored: torch.dtype
) -> None:
    write_tokenizers(tmp_path / "tokenizers")
    model = load(write_all_in_one(TINY, tmp_path / "all.safetensors", stored), tmp_path)
    assert all(found == {torch.float32} for found in dtypes(model).values())


def test_types_are_chosen_part_by_part(checkpoint: Path) -> None:
    model = load(checkpoint, checkpoint.parent, text_dtype="bfloat16")
    assert dtypes(model)["t5"] == dtypes(model)["clip"] == {torch.bfloat16}
    assert dtypes(model)["transformer"] == dtypes(model)["autoencoder"] == {torch.float32}


def test_a_placement_outranks_the_model_and_a_part_outranks_the_rest(checkpoint: Path) -> None:
    placement = Placement(dtype="bfloat16", part_dtypes={"autoencoder": "float32"})
    found = dtypes(load(checkpoint, checkpoint.parent, placement, vae_dtype="bfloat16"))
    assert found["autoencoder"] == {torch.float32}
    assert found["transformer"] == {torch.bfloat16}


def test_float16_is_refused_on_a_cpu(checkpoint: Path) -> None:
    with pytest.raises(BadInput, match="float16"):
        load(checkpoint, checkpoint.parent, transformer_dtype="float16")


def test_bfloat16_draws_close_to_float32(checkpoint: Path) -> None:
    x = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    pictures = []
    for dtype in ("float32", "bfloat16"):
        model = load(checkpoint, checkpoint.parent, Placement(dtype=dtype))
        denoised = model.denoise(x, 0.9, [model.condition(PromptText(([("a red apple", 1.0)],)), {})], {})
        assert denoised.dtype == torch.float32
        pictures.append(model.decode(denoised))
    assert (pictures[0] - pictures[1]).abs().mean() < 0.02


def test_parts_beside_the_checkpoint_come_before_the_model_folders(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    write_parts(TINY, near)
    write_parts(TinyFlux(seed=9), far)
    model = load(write_transformer(TINY, near / "x.safetensors"), far)
    expected = TINY.autoencoder()["decoder.conv_in.weight"]
    assert torch.equal(model.autoencoder.decoder.conv_in.weight, expected)


def test_parts_in_the_checkpoint_come_before_those_beside_it(checkpoint: Path, tmp_path: Path) -> None:
    write_parts(TinyFlux(seed=9), tmp_path)
    path = write_all_in_one(TINY, tmp_path / "all.safetensors")
    expected = TINY.t5()["shared.weight"]
    assert torch.equal(load(path, tmp_path).prompts.t5.shared.weight, expected)


def test_parts_lie_flat_beside_the_checkpoint_too(tmp_path: Path) -> None:
    write_parts(TINY, tmp_path / "parts")
    for file in (tmp_path / "parts").rglob("*.safetensors"):
        file.rename(tmp_path / file.name)
    (tmp_path / "parts" / "tokenizers").rename(tmp_path / "tokenizers")
    assert load(write_transformer(TINY, tmp_path / "x.safetensors"), tmp_path / "elsewhere")


def test_latents_and_colours_come_from_the_metadata(tmp_path: Path) -> None:
    write_tokenizers(tmp_path / "tokenizers")
    rows = ", ".join(["[0.1, 0.2, 0.3]"] * 16)
    metadata = {
        "sfumato.latent_scale": "0.5",
        "sfumato.latent_shift": "0.25",
        "sfumato.latent_rgb": f'{{"factors": [{rows}], "bias": [0, 0.5, 1]}}',
    }
    model = load(write_all_in_one(TINY, tmp_path / "all.safetensors", metadata=metadata), tmp_path)
    assert model.scaling == LatentScaling(0.5, 0.25)
    assert model.latent_format.rgb_factors == ((0.1, 0.2, 0.3),) * 16
    assert model.latent_format.rgb_bias == (0.0, 0.5, 1.0)


def test_the_loaded_model_is_what_the_engine_expects(checkpoint: Path) -> None:
    model = load(checkpoint, checkpoint.parent)
    assert isinstance(model, LoadedModel)
    assert (model.device, model.latent_format.channels, model.latent_format.size_multiple) == ("cpu", 16, 16)
    assert model.latent_format.rgb_factors == ()
