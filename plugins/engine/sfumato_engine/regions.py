"""Regional prompts: where each of the prompts that AND joins acts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import Tensor

from sfumato.errors import BadInput
from sfumato_pictures.reading import read_mask


def read_regions(paths: Sequence[Path], prompts: int, size: tuple[int, int], device: str) -> list[Tensor]:
    """The masks at the size of the latents, [1, 1, h, w] in 0..1 each; none where none are given.

    They are stretched to it, so that one set of masks serves pictures of all sizes.

    Args:
        prompts: How many AND joins.
        size: Width and height of the latents.

    Raises:
        BadInput: there are more or fewer masks than prompts, or one cannot be read.
    """
    if not paths:
        return []
    if len(paths) != prompts:
        raise BadInput(
            "The regions do not fit the prompt.",
            why=f"AND joins {prompts} parts in the prompt of a pass, and there are {len(paths)} masks.",
            hint="Give one mask for each part, in their order; a hires prompt needs as many parts.",
        )
    masks = (Image.fromarray(read_mask(path)).resize(size, Image.Resampling.BOX) for path in paths)
    return [
        torch.from_numpy(numpy.asarray(mask, dtype=numpy.float32) / 255)[None, None].to(device)
        for mask in masks
    ]
