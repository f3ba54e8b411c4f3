"""Models loaded as the studio does, GGUF files among them, and small pictures drawn by any of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from sfumato.library import ModelLibrary
from sfumato.models import LoadedModel, Placement, PromptText
from sfumato.registries import Registries
from sfumato_networks.parts import T5_ENCODER
from sfumato_networks.stored.tensor import WeightTensor

from ..tiny_models.library import library_of
from .files import chosen_type, dequantised

PROMPT = "The red apple, the blue one!"
FLOAT32 = Placement(device="cpu", dtype="float32")


def registries_with_gguf() -> Registries:
    import sfumato_models_sd.plugin
    import sfumato_quant_gguf.plugin

    registries = Registries()
    formats = registries.weight_formats.registrar("quant_gguf")
    sfumato_quant_gguf.plugin.register_weight_formats(formats)
    formats.commit()
    families = registries.model_families.registrar("models_sd")
    sfumato_models_sd.plugin.register_model_families(families)
    families.commit()
    return registries


def library(*roots: Path) -> ModelLibrary:
    """All families of this repository, and all its formats of single files."""
    return library_of(*roots, registries=registries_with_gguf())


def loaded(path: Path, root: Path, placement: Placement = FLOAT32) -> LoadedModel:
    """The model at a path, with parts looked for in the model folder ``root``, too."""
    registries = registries_with_gguf()
    shelf = library_of(root, registries=registries)
    info = shelf.detect(path)
    return registries.model_families.get(info.family).load()().load(info, shelf, placement)


def drawn(model: LoadedModel) -> Tensor:
    """Pixels [1, 3, 64, 64] after two steps of Euler's method."""
    options = {"t5_length": 16} if T5_ENCODER in model.networks else {}
    told = [model.condition(PromptText((((PROMPT, 1.0),),)), options)]
    sigmas = (1.0, 0.5, 0.0) if model.info.prediction == "flow" else (3.0, 1.0, 0.0)
    generator = torch.Generator().manual_seed(7)
    x = sigmas[0] * torch.randn(1, model.latent_format.channels, 8, 8, generator=generator)
    for sigma, target in pairwise(sigmas):
        x = x + (x - model.denoise(x, sigma, told, options)) / sigma * (target - sigma)
    return model.decode(x)


def assert_draws_like(found: LoadedModel, expected: LoadedModel) -> None:
    """Less than a tenth of a step of 8 bits apart, and a picture with something in it."""
    picture = drawn(expected)
    assert picture.std() > 0.02
    torch.testing.assert_close(drawn(found), picture, atol=4e-4, rtol=0)


def plain_numbers(tensor: Tensor) -> Tensor:
    """In float32, whatever form it is stored in."""
    return tensor.stored.dequantised(torch.float32) if isinstance(tensor, WeightTensor) else tensor.float()


def as_stored(
    tensors: Mapping[str, Tensor], quantised: str = "Q8_0", plain: str = "F32", *, vectors: bool = False
) -> dict[str, Tensor]:
    """What is left of tensors after `write_gguf`."""
    return {
        name: dequantised(tensor, chosen_type(tensor, quantised, plain, vectors))
        for name, tensor in tensors.items()
    }
