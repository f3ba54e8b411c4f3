"""Diffusers' names for the UNet's tensors, both ways, as diffusers itself has them."""

from __future__ import annotations

from dataclasses import replace

import diffusers
import pytest
import torch
from diffusers.loaders import single_file_utils

from sfumato_models_sd import diffusers_keys
from sfumato_models_sd.config import LayerSizes, UNetConfig, expected_shapes
from sfumato_models_sd.stored_unet import StoredUNet
from sfumato_models_sd.unet import UNet

from ..tiny_models import sd, sd_folder
from ..tiny_models.headers import header_of

TINY = {
    "sd15": sd.SD15,
    "sd21": sd.SD21,
    "sdxl": sd.SDXL,
    "refiner": sd.REFINER,
    "three_levels_of_two": replace(sd.SD15, channels=(32, 64, 64), depths=(1, 1, 0), residual_blocks=2),
}
EVERY_TINY = pytest.mark.parametrize("tiny", TINY.values(), ids=TINY)


def full_sd15() -> UNetConfig:
    tiny = replace(sd.SD15, channels=(320, 640, 1280, 1280), depths=(1, 1, 1, 0), residual_blocks=2)
    return tiny.unet_config


@EVERY_TINY
def test_diffusers_has_these_tensors(tiny: sd.TinySD) -> None:
    with torch.device("meta"):
        theirs = diffusers.UNet2DConditionModel.from_config(sd_folder.unet_config(tiny)).state_dict()
    ours = expected_shapes(tiny.unet_config)
    names = diffusers_keys.diffusers_names(tiny.unet_config)
    assert {names[name]: shape for name, shape in ours.items()} == {
        name: tuple(tensor.shape) for name, tensor in theirs.items()
    }


@EVERY_TINY
def test_names_go_there_and_back(tiny: sd.TinySD) -> None:
    there = diffusers_keys.diffusers_names(tiny.unet_config)
    assert diffusers_keys.original_names(there.values()) == {new: old for old, new in there.items()}


@EVERY_TINY
def test_diffusers_converts_the_original_file_to_the_same(tiny: sd.TinySD) -> None:
    checkpoint = {f"model.diffusion_model.{name}": tensor for name, tensor in tiny.unet().items()}
    config = sd_folder.unet_config(tiny)
    if tiny.is_xl:
        config["class_embed_type"] = None
    converted = single_file_utils.convert_ldm_unet_checkpoint(checkpoint, config)
    ours = sd.diffusers_unet(tiny)
    assert converted.keys() == ours.keys()
    assert all(converted[name].equal(tensor) for name, tensor in ours.items())


def test_the_well_known_names_of_sd15_are_right() -> None:
    names = diffusers_keys.diffusers_names(full_sd15())
    assert names["input_blocks.4.1.proj_in.weight"] == "down_blocks.1.attentions.0.proj_in.weight"
    assert names["input_blocks.3.0.op.bias"] == "down_blocks.0.downsamplers.0.conv.bias"
    assert names["output_blocks.2.1.conv.weight"] == "up_blocks.0.upsamplers.0.conv.weight"
    assert names["output_blocks.5.2.conv.weight"] == "up_blocks.1.upsamplers.0.conv.weight"
    assert names["output_blocks.11.0.skip_connection.weight"] == "up_blocks.3.resnets.2.conv_shortcut.weight"
    assert len(names) == 686


def test_sizes_are_read_off_the_weights() -> None:
    config = full_sd15()
    assert UNetConfig.from_shapes(expected_shapes(config)) == config
    assert config.head_size(320) == 40
    assert sum(layer.depth for layer in config.layers()) == 16


def test_a_middle_cut_down_to_one_block_is_read_too() -> None:
    """As in SSD-1B and its likes."""
    whole = sd.SDXL.unet_config
    config = replace(whole, middle_block=(LayerSizes("residual", 64, 64),))
    shapes = expected_shapes(config)
    assert UNetConfig.from_shapes(shapes) == config
    names = diffusers_keys.diffusers_names(config)
    stored = StoredUNet("", header_of({names[name]: shape for name, shape in shapes.items()}).tensors)
    assert stored.shapes == shapes
    network = UNet(config)
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == shapes
    label = torch.zeros(1, config.label_size)
    assert network(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 77, 192), label).shape[2:] == (
        8,
        8,
    )


@pytest.mark.parametrize("side", [(7, 9), (5, 8), (13, 2)])
def test_sides_that_cannot_be_halved_are_drawn_as_diffusers_does(side: tuple[int, int]) -> None:
    tiny = TINY["three_levels_of_two"]
    ours, theirs = (
        UNet(tiny.unet_config),
        diffusers.UNet2DConditionModel.from_config(sd_folder.unet_config(tiny)),
    )
    ours.load_state_dict(tiny.unet())
    theirs.load_state_dict(sd.diffusers_unet(tiny))
    x, context = torch.randn(1, 4, *side), torch.randn(1, 5, tiny.context_size)
    with torch.no_grad():
        found = ours(x, torch.tensor([7.0]), context)
        expected = theirs(x, 7, context).sample
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_label_is_given_to_those_who_take_one() -> None:
    network = UNet(sd.SD15.unet_config)
    with pytest.raises(ValueError, match="label"):
        network(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 77, 64), torch.zeros(1, 7))
