"""How large the next step of an adaptive solver may be."""

from __future__ import annotations

import math


class StepSize:
    """k-diffusion's PID controller of step sizes: the step size follows the last three errors.

    A step is accepted when the next may be at least `accept_safety` times as large. Steps do not shrink below
    `SMALLEST`, which is accepted whatever its error: a tolerance finer than the latents' rounding, or latents
    that are not finite, must not keep a sampler going for ever.

    Args:
        h: The first step.
        order: Of the solver; the error of a step grows with this power of it.
        pcoeff, icoeff, dcoeff: How strongly the step follows the error, its sum and its change.
    """

    SMALLEST = 1e-3

    def __init__(
        self, h: float, order: float, pcoeff: float, icoeff: float, dcoeff: float, accept_safety: float
    ) -> None:
        self.h = h
        self._exponents = ((pcoeff + icoeff + dcoeff) / order, -(pcoeff + 2 * dcoeff) / order, dcoeff / order)
        self._accept_safety = accept_safety
        self._accepted: tuple[float, float] | None = None

    def accepts(self, error: float) -> bool:
        """Judge the step of size `h`, whose error is 1 where it is just tolerable, and set the next size."""
        if not math.isfinite(error):
            self.h = max(self.h, 10 * self.SMALLEST)
            return True
        inverse = 1 / (error + 1e-8)
        before = self._accepted or (inverse, inverse)
        errors = (inverse, *before)
        factor = math.prod(e**power for e, power in zip(errors, self._exponents, strict=True))
        factor = 1 + math.atan(factor - 1)
        accepted = factor >= self._accept_safety or self.h <= self.SMALLEST
        self._accepted = (inverse, before[0]) if accepted else before
        self.h = max(self.h * factor, self.SMALLEST)
        return accepted
