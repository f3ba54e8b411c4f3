"""What a sampler and a scheduler are: the contract between `plugins/samplers`, other plugins and the engine.

A sampler is a pure function ``sample(denoise, x, sigmas, context) -> x``. It knows nothing of models,
guidance, devices or progress bars. A scheduler is a pure function
``schedule(steps, noise_schedule, options) -> sigmas``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfumato.noise_schedule import Convention, NoiseSchedule

if TYPE_CHECKING:
    from torch import Tensor

Prediction = Literal["eps", "v", "flow"]


class Option(BaseModel):
    """One tunable number, switch or choice: it becomes a CLI option, a form field, a docs row."""

    model_config = ConfigDict(frozen=True)

    name: str
    default: float | int | bool | str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


class SamplerInfo(BaseModel):
    """What clients need to know of a sampler."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str = Field(description="The name people know, as A1111 writes it.")
    aliases: tuple[str, ...] = Field(default=(), description="ComfyUI names and diffusers class names.")
    summary: str = Field(default="", description="One sentence: when to choose it.")
    order: int = Field(default=1, description="Order of convergence of the underlying method.")
    evaluations_per_step: int = Field(default=1, description="Model evaluations a step, the last one aside.")
    stochastic: bool = Field(default=False, description="Adds fresh noise on the way.")
    predictions: tuple[Prediction, ...] = Field(
        default=("eps", "v", "flow"), description="Model kinds it is right for."
    )
    preferred_scheduler: str = Field(default="", description="Scheduler used when the user leaves it open.")
    needs_unconditional: bool = Field(
        default=False, description="Uses the estimate for the negative prompt too (CFG++)."
    )
    interval_noise: bool = Field(
        default=False,
        description="An SDE solver whose noise belongs to intervals: a Brownian tree can be asked for.",
    )
    skips_last_level: bool = Field(
        default=False,
        description="Takes levels spaced for one step more, without the last one above 0.",
    )
    one_by_one: bool = Field(
        default=False,
        description="Its steps suit one picture: those of a batch are sampled one after another.",
    )
    own_levels: bool = Field(
        default=False, description="Takes only the ends of the schedule, and chooses the levels between."
    )
    options: tuple[Option, ...] = ()


class SchedulerInfo(BaseModel):
    """What clients need to know of a scheduler."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    predictions: tuple[Prediction, ...] = ("eps", "v", "flow")
    options: tuple[Option, ...] = ()


class Denoise(Protocol):
    """The model as a sampler sees it: from noisy latents and their noise level to the clean estimate.

    The estimate has the shape, type and device of `x`, and is not changed by the sampler.
    """

    def __call__(self, x: Tensor, sigma: float) -> Tensor: ...


class DenoisePair(Protocol):
    """The guided estimate, and the one for the negative prompt alone, of one evaluation."""

    def __call__(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]: ...


class NoiseSource(Protocol):
    """Fresh standard normal noise shaped like the latents, from each picture's own seed.

    ``noise(sigma, sigma_next)`` may use the interval (Brownian noise) or ignore it (independent draws); over
    no interval, ``noise(sigma, sigma)``, it is a draw independent of all others.
    """

    def __call__(self, sigma: float, sigma_next: float) -> Tensor: ...


def _ignore_step(index: int, x: Tensor, denoised: Tensor) -> None:
    """The default step observer."""


@dataclass(frozen=True)
class SamplingContext:
    """Everything a sampler may use besides the latents and the sigmas.

    Attributes:
        convention: How the model mixes noise and picture (`sfumato.noise_schedule`).
        noise: Fresh noise for stochastic samplers.
        options: The sampler's own options, complete and checked.
        on_step: Called once a step, after the clean estimate is known: ``on_step(index, x, denoised)``.
            It may raise to cancel.
        denoise_pair: Given to samplers that say `SamplerInfo.needs_unconditional`, to be called in place of
            `denoise`.
    """

    convention: Convention
    noise: NoiseSource
    options: dict[str, Any] = field(default_factory=dict)
    on_step: Callable[[int, Tensor, Tensor], None] = _ignore_step
    denoise_pair: DenoisePair | None = None


class Sampler(Protocol):
    """Integrates through strictly descending noise levels, ``sigmas[0]`` to ``sigmas[-1]`` (usually 0)."""

    def __call__(
        self, denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext
    ) -> Tensor: ...


class Scheduler(Protocol):
    """``steps`` + 1 strictly descending noise levels, the last one 0."""

    def __call__(self, steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]: ...
