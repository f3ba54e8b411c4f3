"""Prompts to conditioning: the states of one or two CLIPs, and what SDXL is told besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.models import PromptText
from sfumato_models_sd.options import SdOptions
from sfumato_models_sd.unet import sinusoids
from sfumato_models_sd.variants import NUMBER_FEATURES, Variant
from sfumato_networks.clip_prompts import ClipPrompts
from sfumato_networks.parts import CLIP_G_TEXT


@dataclass(frozen=True)
class SdConditioning:
    """One encoded prompt: ``context`` [1, m, context_size], m being 77 for each window of it.

    ``pooled`` [1, p] is given to SDXL alone. `notes` are for the user.
    """

    context: Tensor
    pooled: Tensor | None = None
    is_negative: bool = False
    notes: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.context,) if self.pooled is None else (self.context, self.pooled)


@dataclass(frozen=True)
class PromptEncoder:
    """The text side of a Stable Diffusion model.

    1.x takes the normed last states of CLIP-L, 2.x the normed last but one of ViT-H. SDXL joins the last but
    one of both its encoders, not normed, feature by feature, beside bigG's pooled state; its refiner knows
    bigG alone. A lower layer is taken where the clip skip asks for it, a higher one never: these models were
    not trained on it.
    """

    variant: Variant
    texts: Sequence[ClipPrompts]

    def encode(self, text: PromptText, *, zero_empty_negative: bool) -> SdConditioning:
        """Run the encoders on one prompt."""
        at_least = 1 if self.variant.name == "sd1" else 2
        layer = max(text.clip_skip, at_least)
        windows = max(each.count_windows(text) for each in self.texts)
        encoded = [
            each.encode(text, normed=not self.variant.is_xl, layer_from_end=layer, windows=windows)
            for each in self.texts
        ]
        context = torch.cat([states.states for states in encoded], dim=-1)
        notes = tuple(dict.fromkeys(note for states in encoded for note in states.notes))
        if not self.variant.is_xl:
            return SdConditioning(context, None, text.is_negative, notes)
        pooled = encoded[-1].pooled
        if text.is_negative and zero_empty_negative and is_empty(text):
            context, pooled = torch.zeros_like(context), torch.zeros_like(pooled)
        return SdConditioning(context, pooled, text.is_negative, notes)


def is_empty(text: PromptText) -> bool:
    return not any(piece for chunk in text.chunks for piece, _ in chunk)


def numbers(
    variant: Variant, width: int, height: int, options: SdOptions, *, is_negative: bool
) -> tuple[float, ...]:
    """What SDXL is told of a picture (Podell et al. 2023, section 2.2), heights before widths."""

    def stated(value: int | None, otherwise: int) -> int:
        return otherwise if value is None else value

    original = stated(options.original_height, height), stated(options.original_width, width)
    crop = options.crop_top, options.crop_left
    if variant.name == "sdxl_refiner":
        score = options.negative_aesthetic_score if is_negative else options.aesthetic_score
        return (*original, *crop, score)
    return (*original, *crop, stated(options.target_height, height), stated(options.target_width, width))


def label(pooled: Tensor, rows: Sequence[tuple[float, ...]]) -> Tensor:
    """SDXL's vector [b, label_size] of pooled texts [b, p] and the numbers of each picture."""
    values = torch.tensor(rows, device=pooled.device)
    features = sinusoids(values.flatten(), NUMBER_FEATURES).reshape(len(rows), -1)
    return torch.cat((pooled, features.to(pooled.dtype)), dim=-1)


def takes_projection(kind: str) -> bool:
    """Whether the pooled state of this encoder is projected: SDXL takes bigG's, nothing takes others'."""
    return kind == CLIP_G_TEXT
