"""The autoencoder beside diffusers' AutoencoderKL, on random tiny configurations."""

from __future__ import annotations

import pytest
import torch

from sfumato_networks.autoencoder import Autoencoder, AutoencoderConfig

diffusers = pytest.importorskip("diffusers")

FLUX_LIKE = AutoencoderConfig(
    base_channels=32, channel_multipliers=(1, 2, 2), blocks_per_level=2, latent_channels=4
)
SD_LIKE = AutoencoderConfig(
    base_channels=32,
    channel_multipliers=(1, 2),
    blocks_per_level=1,
    latent_channels=4,
    quant_convolutions=True,
)
EMOJI_LIKE = AutoencoderConfig(
    base_channels=8, channel_multipliers=(1, 2, 3), blocks_per_level=1, norm_groups=4, mid_attention=False
)
CONFIGS = pytest.mark.parametrize("config", [FLUX_LIKE, SD_LIKE, EMOJI_LIKE], ids=["flux", "sd", "emoji"])


def fresh(config: AutoencoderConfig) -> Autoencoder:
    torch.manual_seed(0)
    model = Autoencoder(config)
    for parameter in model.parameters():  # biases and norms are trivial when fresh: a slip in them must show
        torch.nn.init.normal_(parameter, mean=0.02, std=0.1)
    return model.eval().requires_grad_(False)


def reference(model: Autoencoder) -> torch.nn.Module:
    """diffusers' module with the same weights, through diffusers' own conversion from the original layout."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    config = model.config
    levels = len(config.channel_multipliers)
    twin = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(config.base_channels * m for m in config.channel_multipliers),
        layers_per_block=config.blocks_per_level,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        mid_block_add_attention=config.mid_attention,
        use_quant_conv=config.quant_convolutions,
        use_post_quant_conv=config.quant_convolutions,
    )
    converted = convert_ldm_vae_checkpoint(model.state_dict(), twin.config)
    twin.load_state_dict(
        {name: tensor.view(twin.state_dict()[name].shape) for name, tensor in converted.items()}
    )
    return twin.eval().requires_grad_(False)


@CONFIGS
def test_latents_are_those_of_diffusers(config: AutoencoderConfig) -> None:
    model = fresh(config)
    images = torch.rand(2, 3, 24, 32) * 2 - 1
    expected = reference(model).encode(images).latent_dist
    mean, log_variance = model.moments(images)
    torch.testing.assert_close(mean, expected.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(log_variance, expected.logvar, rtol=1e-4, atol=1e-5)
    assert torch.equal(model.encode(images), mean)


@CONFIGS
def test_images_are_those_of_diffusers(config: AutoencoderConfig) -> None:
    model = fresh(config)
    latents = torch.randn(2, config.latent_channels, 3, 4)
    images = model.decode(latents)
    assert images.shape == (2, 3, 3 * config.downscale, 4 * config.downscale)
    torch.testing.assert_close(images, reference(model).decode(latents).sample, rtol=1e-4, atol=1e-5)


@CONFIGS
def test_sizes_are_read_from_the_weights(config: AutoencoderConfig) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in fresh(config).state_dict().items()}
    assert AutoencoderConfig.from_shapes(shapes) == config


def test_tensors_of_something_else_are_refused() -> None:
    with pytest.raises(KeyError):
        AutoencoderConfig.from_shapes({"img_in.weight": (224, 64)})
