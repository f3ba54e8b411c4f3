"""Classifier-free guidance (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598) around a model.

Prompts that AND joins are composed as in Liu et al. (2022), https://arxiv.org/abs/2206.01714:
``uncond + scale * sum(weight_i * (cond_i - uncond))``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.models import LoadedModel
from sfumato.sampling import Prediction
from sfumato_engine.step_finder import StepFinder
from sfumato_engine.timeline import Timeline

NO_WEIGHT = 1e-9
"""A share of the unconditional estimate that is only rounding."""


@dataclass(frozen=True)
class PromptPart:
    """One of the prompts that AND joins."""

    weight: float
    timeline: Timeline


@dataclass(frozen=True)
class NegativeRange:
    """Which steps the negative prompt takes part in; leaving it out halves their cost.

    Attributes:
        start: Share of the steps that pass before it does.
        end: Share of the steps after which it does no more.
        minimum_sigma: Below this noise level it is left out of every other step.
        all_steps: Below that level it is left out of all steps.
    """

    start: float = 0.0
    end: float = 1.0
    minimum_sigma: float = 0.0
    all_steps: bool = False

    def takes_in(self, step: int, steps: int, sigma: float) -> bool:
        """Whether it takes part at step number `step`, from 0, of `steps`."""
        if not self.start <= step / steps < self.end:
            return False
        return sigma >= self.minimum_sigma or not (self.all_steps or step % 2)

    def takes_in_any(self, sigmas: Sequence[float]) -> bool:
        """Whether it takes part at any step of these noise levels, one more than steps."""
        steps = len(sigmas) - 1
        return any(self.takes_in(step, steps, sigmas[step]) for step in range(steps))


@dataclass(frozen=True)
class Guidance:
    """What the pictures of a batch are steered by.

    Attributes:
        parts: The prompt, or the prompts that AND joins.
        negative: The negative prompt; None where it is not needed.
        scale: 1 follows the prompt alone, above 1 moves away from the negative prompt. It is 1 in steps that
            leave the negative prompt out.
        rescale: Share, 0..1, of the contrast added since scale 1 that is taken back.
        negative_range: The steps that use the negative prompt.
        one_batch: Evaluate all prompts side by side.
        regions: Where each of the joined prompts acts, [1, 1, h, w] in 0..1; empty for everywhere.
    """

    parts: Sequence[PromptPart]
    negative: Timeline | None
    scale: float
    rescale: float = 0.0
    negative_range: NegativeRange = NegativeRange()
    one_batch: bool = True
    regions: Sequence[Tensor] = ()

    @property
    def notes(self) -> list[str]:
        """What encoding the prompts brought up, each once."""
        timelines = [part.timeline for part in self.parts] + ([self.negative] if self.negative else [])
        conditioning = (value for timeline in timelines for _, value in timeline.spans)
        return list(dict.fromkeys(note for value in conditioning for note in getattr(value, "notes", ())))

    @property
    def share(self) -> float:
        """The factor of the unconditional estimate; with regions it is always needed."""
        return unconditional_share([part.weight for part in self.parts], self.scale) or float(
            bool(self.regions)
        )

    def weights(self, scale: float) -> list[float | Tensor]:
        """The factor of each joined prompt, at a place where it acts on a part of the picture alone."""
        scaled = [scale * part.weight for part in self.parts]
        if not self.regions:
            return list(scaled)
        return [weight * region for weight, region in zip(scaled, self.regions, strict=True)]


def unconditional_share(weights: Sequence[float], scale: float) -> float:
    """The factor of the unconditional estimate, ``1 - scale * sum(weights)``: exactly 0 where it cancels."""
    share = 1 - scale * sum(weights)
    return share if abs(share) > NO_WEIGHT else 0.0


class GuidedModel:
    """The model's clean estimate under guidance; a `sfumato.sampling.Denoise`.

    Args:
        options: Of the model family.
        sigmas: The noise levels of the pass, which tell one step from the next.
        keep_unconditional: Evaluate the negative prompt in every step and keep the estimate.
        picture: What a model that sees pictures is given.
        at_step: Told the number of each step, from 0, and of all, before the model is asked.

    Attributes:
        unconditional: The estimate for the negative prompt in the latest evaluation, where it was kept.
    """

    def __init__(
        self,
        model: LoadedModel,
        guidance: Guidance,
        options: Mapping[str, Any],
        sigmas: Sequence[float],
        *,
        keep_unconditional: bool = False,
        picture: Any = None,
        at_step: Callable[[int, int], None] | None = None,
    ) -> None:
        self.unconditional: Tensor | None = None
        self._seen = {} if picture is None else {"picture": picture}
        self._at_step = at_step
        self._model = model
        self._guidance = guidance
        self._options = options
        self._step_of = StepFinder(sigmas)
        self._keep_unconditional = keep_unconditional
        self._weights = guidance.weights(1.0)
        self._scaled = guidance.weights(guidance.scale)
        self._share = guidance.share

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        step = self._step_of(sigma)
        if self._at_step is not None:
            self._at_step(step, self._step_of.steps)
        prompts = [part.timeline.at(step) for part in self._guidance.parts]
        negative = self._guidance.negative
        in_range = self._guidance.negative_range.takes_in(step, self._step_of.steps, sigma)
        # With nothing to move away from, prompts are joined as at scale 1, as in A1111.
        weights = self._scaled if in_range else self._weights
        guided = in_range and self._share
        regional = bool(self._guidance.regions)
        if negative is None or not (guided or regional or self._keep_unconditional):
            return composed(self._estimates(x, sigma, prompts), weights)
        *estimates, unconditional = self._estimates(x, sigma, [*prompts, negative.at(step)])
        self.unconditional = unconditional
        if not (guided or regional):
            return composed(estimates, weights)
        denoised = composed(estimates, weights, unconditional)
        if not (guided and self._guidance.rescale):
            return denoised
        positive = composed(estimates, self._weights, unconditional)
        return rescaled(denoised, positive, x, sigma, self._model.info.prediction, self._guidance.rescale)

    def _estimates(self, x: Tensor, sigma: float, prompts: Sequence[Any]) -> Sequence[Tensor]:
        """One estimate [b, c, h, w] a prompt."""
        b, k = len(x), len(prompts)
        if k == 1 or not self._guidance.one_batch:
            return [
                self._model.denoise(x, sigma, [prompt] * b, self._options, **self._seen) for prompt in prompts
            ]
        conditioning = [prompt for prompt in prompts for _ in range(b)]
        together = x.repeat(k, 1, 1, 1)
        return self._model.denoise(together, sigma, conditioning, self._options, **self._seen).chunk(k)


def composed(
    estimates: Sequence[Tensor], weights: Sequence[float | Tensor], unconditional: Tensor | None = None
) -> Tensor:
    """``uncond + sum(weight_i * (estimate_i - uncond))``; without uncond the first estimate stands in."""
    if unconditional is None:
        unconditional, *estimates = estimates
        weights = weights[1:]
    if not estimates:
        return unconditional
    result = torch.lerp(unconditional, estimates[0], weights[0])
    for estimate, weight in zip(estimates[1:], weights[1:], strict=True):
        result = torch.addcmul(result, estimate - unconditional, _factor(weight, result))
    return result


def _factor(weight: float | Tensor, like: Tensor) -> Tensor:
    return (
        weight if isinstance(weight, Tensor) else torch.tensor(weight, dtype=like.dtype, device=like.device)
    )


def rescaled(
    denoised: Tensor, positive: Tensor, x: Tensor, sigma: float, prediction: Prediction, amount: float
) -> Tensor:
    """Guidance rescale of Lin et al. (2023), https://arxiv.org/abs/2305.08891, eq. 14-16.

    The deviation of the guided model output, over each picture, is brought back to that of the prompt's
    alone. Outputs are, up to a factor that cancels, ``x - denoised`` for eps and flow models and
    ``x / (1 + sigma**2) - denoised`` for v models.

    Args:
        denoised: The guided estimate [b, c, h, w].
        positive: The estimate at scale 1: the prompt's.
        amount: 0 changes nothing, 1 rescales fully.
    """
    anchor = x / (1 + sigma**2) if prediction == "v" else x
    output = anchor - denoised
    deviations = ((anchor - positive).flatten(1).std(dim=1), output.flatten(1).std(dim=1))
    factor = amount * deviations[0] / deviations[1].clamp_min(torch.finfo(x.dtype).tiny) + (1 - amount)
    return anchor - output * factor[:, None, None, None]
