"""An autoencoder in strips gives what it gives whole, in less memory."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sfumato_networks.autoencoder import Autoencoder, AutoencoderConfig

SD_LIKE = AutoencoderConfig(
    base_channels=32, channel_multipliers=(1, 2, 4, 4), latent_channels=4, quant_convolutions=True
)
EMOJI_LIKE = AutoencoderConfig(
    base_channels=8, channel_multipliers=(1, 2, 3), blocks_per_level=1, norm_groups=4, mid_attention=False
)
CONFIGS = pytest.mark.parametrize("config", [SD_LIKE, EMOJI_LIKE], ids=["sd", "emoji"])
STRIP_SIZES = pytest.mark.parametrize("pixels", [1, 300, 2000, 10**6])


def fresh(config: AutoencoderConfig, spread: float = 0.1) -> Autoencoder:
    torch.manual_seed(0)
    model = Autoencoder(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=0.02, std=spread)
    return model.eval().requires_grad_(False)


def latents(config: AutoencoderConfig, batch: int = 1, height: int = 7, width: int = 5) -> torch.Tensor:
    """With a bright half: moments of a part are not those of the whole."""
    values = torch.randn(
        batch, config.latent_channels, height, width, generator=torch.Generator().manual_seed(1)
    )
    values[..., height // 2 :, :] += 2
    return values


def images(config: AutoencoderConfig, batch: int = 1) -> torch.Tensor:
    side = config.downscale
    values = torch.rand(batch, 3, 6 * side, 5 * side, generator=torch.Generator().manual_seed(2)) * 2 - 1
    values[..., 3 * side :, :] *= 0.2
    return values


def assert_same(found: torch.Tensor, whole: torch.Tensor) -> None:
    torch.testing.assert_close(found, whole, rtol=0, atol=2e-5 * float(whole.abs().max()))


@CONFIGS
@STRIP_SIZES
def test_decoding_in_strips_is_decoding(config: AutoencoderConfig, pixels: int) -> None:
    model, given = fresh(config), latents(config, batch=2)
    with model.in_strips(pixels):
        found = model.decode(given)
    assert_same(found, model.decode(given))


@CONFIGS
@STRIP_SIZES
def test_encoding_in_strips_is_encoding(config: AutoencoderConfig, pixels: int) -> None:
    model, given = fresh(config), images(config, batch=2)
    with model.in_strips(pixels):
        found = torch.cat(model.moments(given))
    assert_same(found, torch.cat(model.moments(given)))


@CONFIGS
def test_pictures_that_tile_are_the_same_too(config: AutoencoderConfig) -> None:
    model = fresh(config)
    plain = model.decode(latents(config))
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.padding_mode = "circular"
    with model.in_strips(300):
        decoded, encoded = model.decode(latents(config)), model.encode(images(config))
    assert_same(decoded, model.decode(latents(config)))
    assert_same(encoded, model.encode(images(config)))
    assert (decoded - plain).abs().max() > 0.01 * plain.abs().max()


def test_what_was_given_is_left_unchanged() -> None:
    model, given, pixels = fresh(EMOJI_LIKE), latents(EMOJI_LIKE), images(EMOJI_LIKE)
    before, pixels_before = given.clone(), pixels.clone()
    with model.in_strips(100):
        model.decode(given)
        model.encode(pixels)
    assert given.equal(before)
    assert pixels.equal(pixels_before)


def test_bfloat16_is_as_near_to_float32_as_the_whole_run_is() -> None:
    model, given = fresh(SD_LIKE), latents(SD_LIKE)
    exact = model.decode(given)
    model.bfloat16()
    whole = (model.decode(given.bfloat16()).float() - exact).abs().mean()
    with model.in_strips(500):
        found = model.decode(given.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).abs().mean() < 1.2 * whole


def test_layers_are_counted_and_a_strip_may_be_the_last_one() -> None:
    model, seen = fresh(SD_LIKE), []
    with model.in_strips(500, on_sweep=lambda done, total: seen.append((done, total))):
        model.decode(latents(SD_LIKE, batch=2))
    total = sum(getattr(layer, "kernel_size", ()) == (3, 3) for layer in model.decoder.modules())
    assert seen == [(i + 1, 2 * total) for i in range(2 * total)]

    class Stopped(Exception): ...

    left = iter(range(5))

    def check() -> None:
        if next(left, None) is None:
            raise Stopped

    whole = model.decode(latents(SD_LIKE))
    with pytest.raises(Stopped), model.in_strips(500, check=check):
        model.decode(latents(SD_LIKE))
    assert model.decode(latents(SD_LIKE)).equal(whole), "afterwards it runs whole again"


class LiveMemory(TorchDispatchMode):
    """Counts the bytes of all tensors alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self._watch(tensor.untyped_storage())
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


def peak(model: Autoencoder, method: str, given: torch.Tensor) -> int:
    with LiveMemory() as memory:
        getattr(model, method)(given)
    return memory.peak


@pytest.mark.parametrize("method", ["decode", "encode"])
def test_the_peak_of_memory_is_as_estimated_and_far_below_that_of_the_whole_run(method: str) -> None:
    model, pixels = fresh(SD_LIKE), 16 * 32
    given = latents(SD_LIKE, height=16, width=16) if method == "decode" else torch.rand(1, 3, 128, 128)
    whole = peak(model, method, given)
    with model.in_strips(pixels):
        found = peak(model, method, given)
    maps, strip = model.memory_in_strips(128, 128, pixels)
    assert found <= maps + strip
    assert whole > 1.5 * found
