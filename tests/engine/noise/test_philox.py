"""The random numbers of an NVIDIA GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfumato_engine.noise.philox import PhiloxGenerator, philox4x32

# tests/kat_vectors of the Random123 library, philox4x32 with 10 rounds: counter, key, result
KNOWN_ANSWERS = (
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
)
# torch.randn(12, device="cuda") after torch.manual_seed(0)
FROM_CUDA = (
    *(-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564),
    *(-0.62285122, -0.32838709, -1.07454231, -0.36314407, -1.67105067, 2.26550497),
)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def test_random_words_are_the_known_ones_of_random123() -> None:
    counters = np.array([words(counter) for counter, _, _ in KNOWN_ANSWERS], dtype=np.uint64).T
    for column, (_, key, result) in enumerate(KNOWN_ANSWERS):
        assert philox4x32(counters, tuple(words(key)))[:, column].tolist() == words(result)


def test_normal_numbers_are_those_of_torch_on_cuda() -> None:
    assert PhiloxGenerator(0).randn((3, 4)).flatten().tolist() == pytest.approx(FROM_CUDA, abs=1e-6)


@pytest.mark.gpu
def test_a_gpu_draws_the_same() -> None:
    cuda, ours = torch.Generator("cuda").manual_seed(2**32 + 5), PhiloxGenerator(2**32 + 5)
    for _ in range(3):
        drawn = torch.randn(4, 64, 64, generator=cuda, device="cuda").cpu()
        assert torch.allclose(ours.randn((4, 64, 64)), drawn, atol=1e-5)


def test_a_seed_keeps_all_its_64_bits() -> None:
    assert not torch.equal(PhiloxGenerator(2**32).randn((8,)), PhiloxGenerator(0).randn((8,)))


def test_the_next_draw_is_another_with_unit_variance() -> None:
    generator = PhiloxGenerator(1)
    first, second = generator.randn((50_000,)), generator.randn((50_000,))
    assert abs(float(second.std()) - 1) < 0.02
    assert abs(float(torch.corrcoef(torch.stack((first, second)))[0, 1])) < 0.02
