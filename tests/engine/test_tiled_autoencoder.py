"""Decoding and encoding in parts: exact where the autoencoder runs in strips, seamless where it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.errors import Cancelled
from sfumato.events import CancelToken
from sfumato.models import LatentFormat
from sfumato_engine.tiled_autoencoder import (
    STRIP_SHARE,
    decode_tiled,
    encode_tiled,
    storage_for,
    tiled_memory,
    tiles_wanted,
)
from sfumato_networks.autoencoder import Autoencoder, AutoencoderConfig

CONFIG = AutoencoderConfig(
    base_channels=16, channel_multipliers=(1, 2, 2), blocks_per_level=1, latent_channels=4, norm_groups=8
)
PIXELS = 4


class Drawer:
    """Of a model, what decodes and encodes, as every family has it around our autoencoder."""

    latent_format = LatentFormat(channels=4, pixels_per_latent=PIXELS)

    def __init__(self, device: str = "cpu") -> None:
        torch.manual_seed(0)
        self.device = device
        self.autoencoder = Autoencoder(CONFIG).eval().requires_grad_(False)
        self.networks: dict[str, Any] = {"autoencoder": self.autoencoder}

    def decode(self, latents: Tensor) -> Tensor:
        return self.autoencoder.decode(latents / 0.3).mul(0.5).add(0.5).clamp(0, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        return self.autoencoder.encode(pixels * 2 - 1) * 0.3

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        return 100 * width * height * batch_size


class Stranger(Drawer):
    """One whose autoencoder is nobody's we know: it repeats latents, blurred."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = {}
        self.sizes: list[torch.Size] = []

    def decode(self, latents: Tensor) -> Tensor:
        self.sizes.append(latents.shape)
        blurred = torch.nn.functional.avg_pool2d(latents[:, :3], 3, 1, 1, count_include_pad=False)
        return blurred.repeat_interleave(PIXELS, 2).repeat_interleave(PIXELS, 3).clamp(0, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        means = torch.nn.functional.avg_pool2d(pixels, PIXELS)
        return torch.cat([means, means[:, :1]], dim=1)


@dataclass
class Told:
    parts: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, done: int, total: int) -> None:
        self.parts.append((done, total))


def latents() -> Tensor:
    return torch.rand(2, 4, 20, 26, generator=torch.Generator().manual_seed(1))


def pictures() -> Tensor:
    return torch.rand(2, 3, 80, 104, generator=torch.Generator().manual_seed(2))


def test_strips_give_the_whole_picture_whatever_the_tile() -> None:
    model = Drawer()
    for tile in (8, 40, 4096):
        torch.testing.assert_close(decode_tiled(model, latents(), tile, 0), model.decode(latents()))
        torch.testing.assert_close(encode_tiled(model, pictures(), tile, 0), model.encode(pictures()))


def test_tiles_of_a_strange_autoencoder_show_no_seam() -> None:
    model, told = Stranger(), Told()
    whole = model.decode(latents())
    torch.testing.assert_close(decode_tiled(model, latents(), 40, 16, told), whole)
    assert {tuple(size) for size in model.sizes[1:]} == {(1, 4, 10, 10)}
    assert told.parts == [(i + 1, 24) for i in range(24)]  # 3 x 4 tiles of two pictures
    torch.testing.assert_close(encode_tiled(model, pictures(), 40, 16), model.encode(pictures()))


@pytest.mark.parametrize("model", [Drawer(), Stranger()], ids=["strips", "tiles"])
def test_parts_are_counted_and_a_cancel_is_heard_between_them(model: Drawer) -> None:
    told, cancel = Told(), CancelToken()
    whole = model.decode(latents())

    def stop(done: int, total: int) -> None:
        told(done, total)
        if done == 2:
            cancel.cancel()

    with pytest.raises(Cancelled):
        decode_tiled(model, latents(), 40, 16, stop, cancel)
    assert [done for done, _ in told.parts] == [1, 2]
    assert model.decode(latents()).equal(whole), "afterwards it is as before"


def test_memory_is_told_by_the_size_and_where_the_maps_are() -> None:
    maps, strip = Drawer().autoencoder.memory_in_strips(512, 256, 64**2 // STRIP_SHARE)
    assert tiled_memory(Drawer(), 512, 256, 64) == maps + strip
    assert tiled_memory(Drawer("cuda"), 512, 256, 64) == strip
    assert 100 * 64**2 <= tiled_memory(Stranger(), 512, 256, 64) < 100 * 512 * 256


def test_maps_stay_with_the_model_while_they_fit() -> None:
    needed = sum(Drawer().autoencoder.memory_in_strips(512, 256, 64**2 // STRIP_SHARE))
    assert storage_for(Drawer("cuda"), 512, 256, 64, needed) is None
    assert storage_for(Drawer("cuda"), 512, 256, 64, needed - 1) == "cpu"
    assert storage_for(Drawer("cpu"), 512, 256, 64, 0) is None
    assert storage_for(Stranger(), 512, 256, 64, 0) is None


@pytest.mark.parametrize(
    ("choice", "needed", "wanted"),
    [("auto", 10, False), ("auto", 11, True), ("always", 1, True), ("never", 99, False)],
)
def test_parts_are_wanted_where_the_whole_does_not_fit_or_always_or_never(
    choice: Any, needed: int, wanted: bool
) -> None:
    assert tiles_wanted(choice, needed, available=10) is wanted


@pytest.mark.gpu
def test_maps_of_a_gpu_may_lie_on_the_cpu() -> None:
    model = Drawer("cuda")
    model.autoencoder.cuda()
    given = latents().cuda()
    whole = model.decode(given)
    found = decode_tiled(model, given, 40, 0, storage="cpu")
    assert found.device == given.device
    torch.testing.assert_close(found, whole, atol=1e-3, rtol=0)
