"""Noise between that of two seeds."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_SINE = 1e-3
"""Where two columns point the same way, or opposite ways, there is no angle to divide by."""


def slerp(start: Tensor, end: Tensor, fraction: float) -> Tensor:
    """Spherical interpolation, which keeps the variance of noise (Shoemake 1985, "Animating rotation with
    quaternion curves").

    As in A1111, every column of a channel (along the height) is a vector with its own angle. Parallel columns
    are interpolated in a straight line.

    Args:
        start: Noise [c, h, w] at fraction 0.
        end: Noise [c, h, w] at fraction 1.
        fraction: From 0 to 1.
    """
    cosine = (_directions(start) * _directions(end)).sum(dim=1, keepdim=True)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    from_start = torch.sin((1 - fraction) * angle) / sine
    from_end = torch.sin(fraction * angle) / sine
    # rounding can take a cosine past 1 and make its angle NaN: it compares as false here
    return torch.where(
        sine > LEAST_SINE, from_start * start + from_end * end, torch.lerp(start, end, fraction)
    )


def _directions(noise: Tensor) -> Tensor:
    return noise / torch.linalg.vector_norm(noise, dim=1, keepdim=True)
