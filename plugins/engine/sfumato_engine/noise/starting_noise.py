"""The noise a picture starts from: its seed's, a variation of it, or that of another size in its middle."""

from __future__ import annotations

from torch import Tensor

from sfumato.request import NoiseSource
from sfumato_engine.noise.generators import NormalGenerator, new_generator
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.noise.variation import slerp


def starting_noise(
    settings: NoiseSettings, index: int, generator: NormalGenerator, shape: tuple[int, ...]
) -> Tensor:
    """Starting noise of picture `index`, of its `shape`; float32 on the CPU.

    It takes one draw of the picture's whole size from the picture's `generator`; noise of another seed or
    size comes from generators of its own, as in A1111.
    """
    whole = generator.randn(shape)
    if settings.resize_from is None or settings.resize_from == shape[1:]:
        return _varied(whole, settings, index)
    part = _first_draw(settings.source, settings.seeds[index], (shape[0], *settings.resize_from))
    return _with_centre(whole, _varied(part, settings, index))


def _varied(noise: Tensor, settings: NoiseSettings, index: int) -> Tensor:
    if not settings.variation_strength:
        return noise
    variation = _first_draw(settings.source, settings.variation_seeds[index], tuple(noise.shape))
    return slerp(noise, variation, settings.variation_strength)


def _first_draw(source: NoiseSource, seed: int, shape: tuple[int, ...]) -> Tensor:
    return new_generator(source, seed).randn(shape)


def _with_centre(whole: Tensor, part: Tensor) -> Tensor:
    """`whole` [c, h, w] with the middle of `part` [c, h', w'] in its middle, as far as both reach."""
    rows, part_rows = _overlap(whole.shape[1], part.shape[1])
    columns, part_columns = _overlap(whole.shape[2], part.shape[2])
    result = whole.clone()
    result[:, rows, columns] = part[:, part_rows, part_columns]
    return result


def _overlap(whole: int, part: int) -> tuple[slice, slice]:
    """Where the part lies in the whole, and what of the part does.

    Where a larger part exceeds the whole by an odd number, the last row of the whole stays free, as in A1111.
    """
    margin = (whole - part) // 2
    if margin >= 0:
        return slice(margin, margin + part), slice(0, part)
    return slice(0, part + 2 * margin), slice(-margin, part + margin)
