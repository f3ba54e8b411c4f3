"""Sharpens what has the colour of skin: looks for no face, invents nothing; a first step, not GFPGAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.upscaling import FaceRestorerInfo, UpscaleContext

if TYPE_CHECKING:
    from torch import Tensor

SFUMATO_API = "1.0"
SIGMA = 2.0
AMOUNT = 0.8


@hookimpl
def register_face_restorers(face_restorers: Registrar[FaceRestorerInfo]) -> None:
    face_restorers.add(
        "clear_faces",
        "sfumato_clear_faces:restore",
        label="Clear Faces",
        summary="Sharpens what has the colour of skin.",
    )


def restore(pixels: Tensor, options: Mapping[str, Any], context: UpscaleContext) -> Tensor:
    """An unsharp mask on skin. Pixels: uint8 [h, w, 3], never changed in place."""
    import torch

    colours = pixels.permute(2, 0, 1).float()
    sharper = colours + AMOUNT * (colours - blurred(colours))
    mended = torch.lerp(colours, sharper, blurred(skin(colours)))
    return mended.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def skin(colours: Tensor) -> Tensor:
    """Where colours [3, h, w] are those of skin, light or dark, [1, h, w]: Chai and Ngan 1999."""
    red, green, blue = colours
    cb = 128 - 0.169 * red - 0.331 * green + 0.5 * blue
    cr = 128 + 0.5 * red - 0.419 * green - 0.081 * blue
    return ((cb >= 77) & (cb <= 127) & (cr >= 133) & (cr <= 173)).float()[None]


def blurred(planes: Tensor) -> Tensor:
    """Planes [c, h, w] under a Gaussian; beyond an edge its pixels go on."""
    import torch
    import torch.nn.functional as F

    reach = round(3 * SIGMA)
    weights = torch.exp(-((torch.arange(-reach, reach + 1) / SIGMA) ** 2) / 2)
    weights = weights / weights.sum()
    wide = F.pad(planes[:, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(wide, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))[:, 0]
