"""Soft inpainting: greys of the mask decide how much of the picture is kept, step by step.

As A1111's script of that name does it, whose parameters these are (see `sfumato.request.SoftInpaint`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from sfumato.request import SoftInpaint

NEAR_NOTHING = 1e-5
KERNEL_RADIUS = 2
KERNEL_WIDTH = 1.5
CALM_EDGES = 4
"""Pixels by which the mask found is blurred, against the steps of the latents."""


def blended(original: Tensor, denoised: Tensor, mask: Tensor, sigma: float, soft: SoftInpaint) -> Tensor:
    """Original and denoised latents [b, c, h, w] mixed by the mask [1, 1, h, w], its greys as of `sigma`.

    The mask is raised to ``preservation_strength * sigma ** schedule_bias``, so that the original rules at
    high noise levels and what was denoised at low ones. Lengths of the latent vectors are mixed apart from
    their directions, in favour of the longer one.
    """
    share = mask ** (sigma**soft.schedule_bias * soft.preservation_strength)
    mixed = torch.lerp(original, denoised, share)
    power = soft.transition_contrast_boost
    lengths = [_length(latents).double() ** power for latents in (original, denoised)]
    wanted = torch.lerp(lengths[0], lengths[1], share.double()) ** (1 / power)
    return mixed * (wanted / (_length(mixed).double() + NEAR_NOTHING)).to(mixed.dtype)


def _length(latents: Tensor) -> Tensor:
    return torch.linalg.vector_norm(latents, dim=1, keepdim=True)


def changed_part(original: Tensor, latents: Tensor, mask: Tensor, soft: SoftInpaint) -> Tensor:
    """How much of what was drawn is to be seen, [b, h, w] in 0..1, by how far the latents have changed."""
    share = 1 - mask[:, 0].clamp(0, 1) ** (soft.preservation_strength / 2)
    share = torch.lerp(torch.full_like(share, 0.5), share, soft.mask_influence)
    half_way = soft.difference_threshold * share / (1 + NEAR_NOTHING - share)
    distance = torch.linalg.vector_norm(latents - original, dim=1)
    distance = _middle(_middle(distance, 0.9, 1.0), 0.25, 0.75)
    ratio = distance / half_way.clamp_min(torch.finfo(distance.dtype).tiny)
    kept = 1 / (1 + ratio**soft.difference_contrast)
    return 1 - kept**3 * (kept * (6 * kept - 15) + 10)


def as_mask(changed: Tensor, size: tuple[int, int]) -> Image.Image:
    """One picture's [h, w] as a grey mask of that size in pixels, without the steps of the latents."""
    small = Image.fromarray(changed.float().mul(255).to(torch.uint8).cpu().numpy())
    return small.resize(size, Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(CALM_EDGES))


def _middle(values: Tensor, low: float, high: float) -> Tensor:
    """For each place of [b, h, w] the weighted mean of its neighbourhood's values between two percentiles."""
    weights = _kernel(values)
    side = 2 * KERNEL_RADIUS + 1
    shape = values.shape
    spread = F.unfold(values[:, None], side, padding=KERNEL_RADIUS)
    inside = F.unfold(torch.ones_like(values[:, None]), side, padding=KERNEL_RADIUS)
    spread, order = spread.sort(dim=1)
    weight = (weights[None, :, None] * inside).gather(1, order)
    upper = weight.cumsum(dim=1)
    start, end = _window(upper[:, -1:], low, high)
    overlap = (torch.minimum(upper, end) - torch.maximum(upper - weight, start)).clamp_min(0)
    return ((spread * overlap).sum(1) / overlap.sum(1)).reshape(shape)


def _window(total: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Between the percentiles, but with the weight of the middle place at least."""
    start, end = total * low, total * high
    centre, reach = (start + end) / 2, ((end - start) / 2).clamp_min(0.5)
    start, end = centre - reach, centre + reach
    over = (end - total).clamp_min(0)
    start, end = start - over, end - over
    return start.clamp_min(0), torch.where(start < 0, end - start, end)


def _kernel(like: Tensor) -> Tensor:
    """Weights of a neighbourhood: a Gaussian that is 1 in the middle and 0 one place beyond its radius."""
    offsets = torch.arange(-KERNEL_RADIUS, KERNEL_RADIUS + 1, dtype=like.dtype, device=like.device)
    distances = offsets[:, None] ** 2 + offsets[None, :] ** 2
    zero = torch.exp(torch.tensor(-((KERNEL_RADIUS + 1) ** 2) / KERNEL_WIDTH**2, dtype=like.dtype))
    weights = (torch.exp(-distances / KERNEL_WIDTH**2) - zero) / (1 - zero)
    return weights.clamp_min(0).flatten()
