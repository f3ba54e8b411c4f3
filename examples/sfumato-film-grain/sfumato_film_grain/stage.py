"""Film grain: noise in brightness, drawn from the picture's seed."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.stages import StageContext


def apply(pixels: Tensor, context: StageContext) -> Tensor:
    """Grain on one finished picture.

    Args:
        pixels: uint8 [h, w, 3] on the CPU. They must not be changed in place.
        context: The request, this stage's options, and the picture's seed.
    """
    amount: float = context.options["amount"]
    generator = torch.Generator().manual_seed(context.seeds[0])
    grain = torch.randn(*pixels.shape[:2], 1, generator=generator)
    grainy = pixels + 255 * amount * grain
    return grainy.round().clamp(0, 255).to(torch.uint8)
