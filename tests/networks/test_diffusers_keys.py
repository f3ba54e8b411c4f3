"""Diffusers' autoencoders in the original layout."""

from __future__ import annotations

import pytest
import torch

from sfumato_networks.autoencoder import Autoencoder, AutoencoderConfig
from sfumato_networks.diffusers_keys import original_shapes, original_tensors
from sfumato_networks.weights import build_empty, load_network

diffusers = pytest.importorskip("diffusers")

NAMES_BEFORE_0_14 = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


def reference(levels: int = 3, quant_convolutions: bool = False):
    torch.manual_seed(0)
    model = diffusers.AutoencoderKL(
        block_out_channels=(32, 64, 96)[:levels],
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=4,
        use_quant_conv=quant_convolutions,
        use_post_quant_conv=quant_convolutions,
    )
    for parameter in model.parameters():  # biases and norms are trivial when fresh: a slip in them must show
        torch.nn.init.normal_(parameter, std=0.08)
    return model.eval()


def ours(tensors: dict[str, torch.Tensor]) -> Autoencoder:
    renamed = original_tensors(tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in renamed.items()}
    empty = build_empty(lambda: Autoencoder(AutoencoderConfig.from_shapes(shapes)))
    return load_network(empty, renamed, torch.float32, "cpu", where="model")


@pytest.mark.parametrize(("levels", "quant_convolutions"), [(3, False), (2, True), (1, False)])
@torch.no_grad()
def test_pictures_and_latents_equal_those_of_diffusers(levels: int, quant_convolutions: bool) -> None:
    model = reference(levels, quant_convolutions)
    mine = ours(model.state_dict())
    latents, images = torch.randn(1, 4, 4, 6), torch.randn(1, 3, 16, 24)
    torch.testing.assert_close(mine.decode(latents), model.decode(latents).sample, atol=1e-5, rtol=1e-5)
    expected = model.encode(images).latent_dist.mean
    torch.testing.assert_close(mine.encode(images), expected, atol=1e-5, rtol=1e-5)


def test_names_of_old_diffusers_give_the_same_tensors() -> None:
    tensors = reference(2).state_dict()
    old = {}
    for name, tensor in tensors.items():
        for new_part, old_part in NAMES_BEFORE_0_14.items():
            name = name.replace(new_part, old_part)
        old[name] = tensor
    expected, found = original_tensors(tensors), original_tensors(old)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_nothing_is_copied() -> None:
    tensors = reference(2).state_dict()
    pointers = {tensor.data_ptr() for tensor in tensors.values()}
    assert all(tensor.data_ptr() in pointers for tensor in original_tensors(tensors).values())


def test_shapes_are_those_of_the_tensors() -> None:
    tensors = reference(2).state_dict()
    shapes = original_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    assert shapes == {name: tuple(tensor.shape) for name, tensor in original_tensors(tensors).items()}
