"""The tiny decoder beside diffusers' AutoencoderTiny, in every layout that its files have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import CheckpointError
from sfumato_networks.taesd import load_tiny_decoder

diffusers = pytest.importorskip("diffusers")


def peer(latent_channels: int = 4, width: int = 8) -> torch.nn.Module:
    torch.manual_seed(0)
    model = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(width,) * 4,
        decoder_block_out_channels=(width,) * 4,
        latent_channels=latent_channels,
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=0.02, std=0.15)
    return model.eval().requires_grad_(False)


def authors(model: torch.nn.Module, prefix: str = "") -> dict[str, torch.Tensor]:
    """The decoder's tensors as its author names them."""
    found = {}
    for name, tensor in model.decoder.state_dict().items():
        number, _, rest = name.removeprefix("layers.").partition(".")
        found[f"{prefix}{int(number) + 1}.{rest}"] = tensor
    return found


def write(model: torch.nn.Module, folder: Path, layout: str) -> Path:
    if layout == "diffusers":
        save_file(model.state_dict(), folder / "taesd.safetensors")
        return folder / "taesd.safetensors"
    if layout == "whole":
        encoder = {f"encoder.{name}": tensor for name, tensor in authors(model).items()}
        torch.save({**encoder, **authors(model, "decoder.")}, folder / "taesd.pth")
        return folder / "taesd.pth"
    if layout == "pth":
        torch.save(authors(model), folder / "taesd_decoder.pth")
        return folder / "taesd_decoder.pth"
    save_file(authors(model), folder / "taesd_decoder.safetensors")
    return folder / "taesd_decoder.safetensors"


@pytest.mark.parametrize("layout", ["diffusers", "whole", "pth", "safetensors"])
@pytest.mark.parametrize("channels", [4, 16])
def test_it_decodes_as_diffusers_does(tmp_path: Path, layout: str, channels: int) -> None:
    model = peer(channels)
    latents = 3 * torch.randn(2, channels, 5, 4, generator=torch.Generator().manual_seed(1))
    decoder = load_tiny_decoder(write(model, tmp_path, layout), "cpu")
    assert decoder.latent_channels == channels
    expected = model.decode(latents).sample / 2 + 0.5
    torch.testing.assert_close(decoder(latents), expected, atol=1e-5, rtol=1e-4)


def test_an_authors_file_stored_in_half_precision_is_read(tmp_path: Path) -> None:
    save_file({name: tensor.half() for name, tensor in authors(peer()).items()}, tmp_path / "x.safetensors")
    latents = torch.ones(1, 4, 3, 3)
    found = load_tiny_decoder(tmp_path / "x.safetensors", "cpu")(latents)
    assert found.dtype == torch.float32
    rounded = peer().half().float()
    torch.testing.assert_close(found, rounded.decode(latents).sample / 2 + 0.5, atol=1e-5, rtol=1e-4)


def without_a_layer() -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in authors(peer()).items() if not name.startswith("4.conv.2")}


def of_another_kind() -> dict[str, torch.Tensor]:
    return {"decoder.up.0.block.0.conv1.weight": torch.zeros(4, 4, 3, 3)}


def with_parts_unknown_to_us() -> dict[str, torch.Tensor]:
    return {**authors(peer()), "3.pool.0.weight": torch.zeros(8, 8, 3, 3)}


def the_encoder_alone() -> dict[str, torch.Tensor]:
    return {f"encoder.{name}": tensor for name, tensor in authors(peer()).items()}


def of_a_hostile_size() -> dict[str, torch.Tensor]:
    return {**authors(peer()), "999999999.weight": torch.zeros(8, 8, 3, 3)}


@pytest.mark.parametrize(
    "tensors",
    [without_a_layer, of_another_kind, with_parts_unknown_to_us, the_encoder_alone, of_a_hostile_size],
)
def test_another_file_is_refused_by_name(
    tmp_path: Path, tensors: Callable[[], dict[str, torch.Tensor]]
) -> None:
    save_file(tensors(), tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=r"odd\.safetensors"):
        load_tiny_decoder(tmp_path / "odd.safetensors", "cpu")
