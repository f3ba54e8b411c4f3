"""A picture as inpainting models see it beside the latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor

from sfumato.models import LoadedModel

GREY = 0.5
"""What is seen in place of the masked part."""


@dataclass(frozen=True)
class View:
    """What a model that sees pictures is shown.

    Attributes:
        picture: RGB.
        mask: Grey, of its size; None where all is to be painted anew.
        weight: How far the picture is masked, 0..1.
        greys: Whether those of the mask count; else each pixel is masked or not.
    """

    picture: Image.Image
    mask: Image.Image | None = None
    weight: float = 1.0
    greys: bool = False

    def shown_to(self, model: LoadedModel) -> Any:
        """As the model takes it; None where it sees none."""
        if not model.info.sees_picture:
            return None
        seen = pixels_of(self.picture).to(model.device)
        covered = torch.ones_like(seen[:, :1])
        if self.mask is not None:
            values = torch.from_numpy(numpy.array(self.mask, dtype=numpy.float32) / 255)
            covered = (values if self.greys else values.round())[None, None].to(model.device)
        return model.see(torch.lerp(seen, torch.full_like(seen, GREY), covered * self.weight), covered)


def view_of_nothing(size: tuple[int, int]) -> View:
    """Where there is no picture: all of it is to be painted."""
    return View(Image.new("RGB", size, (128, 128, 128)))


def pixels_of(picture: Image.Image) -> Tensor:
    """[1, 3, h, w] in 0..1, float32."""
    values = torch.from_numpy(numpy.array(picture, dtype=numpy.float32) / 255)
    return values.permute(2, 0, 1)[None].contiguous()
