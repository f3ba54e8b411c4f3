"""What a user asks for: one schema behind the CLI options, the Python API and the docs tables."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sfumato.text import writable

SEED_LIMIT = 2**32
RANDOM_SEED = -1

Emphasis = Literal["original", "no_norm", "ignore", "none"]
NoiseSource = Literal["cpu", "nv"]
StepNoise = Literal["path", "brownian_tree"]


def _group(name: str) -> dict[str, Any]:
    """Where a form or a help page shows the field."""
    return {"group": name}


class GenerationRequest(BaseModel):
    """A request for pictures. Fields left at None take the model's own defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(
        default="",
        title="Prompt",
        description="What to draw. (word:1.3) weighs a word up, [word] weighs it down, [from:to:0.5] changes "
        "it half-way, AND joins two prompts.",
        json_schema_extra=_group("Prompt"),
    )
    negative_prompt: str = Field(
        default="",
        title="Negative prompt",
        description="What to steer away from; works when the CFG scale is above 1.",
        json_schema_extra=_group("Prompt"),
    )
    emphasis: Emphasis = Field(
        default="original",
        title="Emphasis",
        description="How weights act: 'original' restores the encoded prompt's mean, 'no_norm' does not, "
        "'ignore' drops the weights, 'none' takes brackets as text.",
        json_schema_extra=_group("Prompt"),
    )
    clip_skip: int | None = Field(
        default=None,
        ge=1,
        le=12,
        title="Clip skip",
        description="Which layer of CLIP encodes the prompt, from the end: 1 is the last one.",
        json_schema_extra=_group("Prompt"),
    )
    model: str | None = Field(
        default=None,
        title="Model",
        description="Name of an installed model, or path of a checkpoint file or diffusers folder.",
        json_schema_extra=_group("Model"),
    )
    seed: int = Field(
        default=RANDOM_SEED,
        ge=RANDOM_SEED,
        le=SEED_LIMIT - 1,
        title="Seed",
        description="Picks the starting noise; -1 draws a new one. Each further picture uses the next seed.",
        json_schema_extra=_group("Sampling"),
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        title="Steps",
        description="Denoising steps: more is slower and finer.",
        json_schema_extra=_group("Sampling"),
    )
    sampler: str | None = Field(
        default=None,
        title="Sampler",
        description="The integration method, by any of its names; 'sfumato samplers' lists them.",
        json_schema_extra=_group("Sampling"),
    )
    scheduler: str | None = Field(
        default=None,
        title="Scheduler",
        description="How noise levels are spaced; 'sfumato schedulers' lists them.",
        json_schema_extra=_group("Sampling"),
    )
    cfg_scale: float | None = Field(
        default=None,
        ge=0,
        le=100,
        title="CFG scale",
        description="How strongly the prompt rules over the negative prompt; 1 switches guidance off.",
        json_schema_extra=_group("Guidance"),
    )
    cfg_rescale: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="CFG rescale",
        description="Takes back the contrast that a high CFG scale adds: 0 nothing of it, 1 all of it.",
        json_schema_extra=_group("Guidance"),
    )
    guidance_start: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Guidance start",
        description="Share of the steps that follow the prompt alone, before the negative prompt takes part.",
        json_schema_extra=_group("Guidance"),
    )
    guidance_end: float = Field(
        default=1.0,
        ge=0,
        le=1,
        title="Guidance end",
        description="Share of the steps after which the negative prompt takes part no more.",
        json_schema_extra=_group("Guidance"),
    )
    negative_minimum_sigma: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        title="Negative guidance minimum sigma",
        description="Below this noise level every other step leaves out the negative prompt: quicker.",
        json_schema_extra=_group("Guidance"),
    )
    negative_minimum_sigma_all: bool = Field(
        default=False,
        title="Negative guidance minimum sigma, all steps",
        description="Leave the negative prompt out of all steps below that level, not of every other one.",
        json_schema_extra=_group("Guidance"),
    )
    variation_seed: int = Field(
        default=RANDOM_SEED,
        ge=RANDOM_SEED,
        le=SEED_LIMIT - 1,
        title="Variation seed",
        description="Picks the noise that is mixed in by the variation strength; -1 draws a new one. "
        "Each further picture uses the next variation seed, and all share the seed.",
        json_schema_extra=_group("Noise"),
    )
    variation_strength: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Variation strength",
        description="From the seed's noise (0) to the variation seed's (1).",
        json_schema_extra=_group("Noise"),
    )
    seed_resize_width: int = Field(
        default=0,
        ge=0,
        le=16384,
        title="Seed resize width",
        description="Width of the picture whose composition the seed should keep; 0 for this picture's.",
        json_schema_extra=_group("Noise"),
    )
    seed_resize_height: int = Field(
        default=0,
        ge=0,
        le=16384,
        title="Seed resize height",
        description="Height of the picture whose composition the seed should keep; 0 for this picture's.",
        json_schema_extra=_group("Noise"),
    )
    noise_seed_delta: int = Field(
        default=0,
        ge=0,
        le=SEED_LIMIT - 1,
        title="Eta noise seed delta",
        description="Added to the seed for the noise that samplers add on the way (ENSD).",
        json_schema_extra=_group("Noise"),
    )
    noise_source: NoiseSource = Field(
        default="cpu",
        title="Noise source",
        description="Whose random numbers: torch's on a CPU, or an NVIDIA GPU's ('nv', on any device).",
        json_schema_extra=_group("Noise"),
    )
    step_noise: StepNoise = Field(
        default="path",
        title="Step noise",
        description="Noise that samplers add on the way: a quick Brownian path, or k-diffusion's "
        "'brownian_tree', which the SDE samplers of A1111 and ComfyUI use.",
        json_schema_extra=_group("Noise"),
    )
    width: int | None = Field(
        default=None,
        ge=16,
        le=16384,
        title="Width",
        description="Picture width in pixels; each model family needs a certain multiple.",
        json_schema_extra=_group("Size"),
    )
    height: int | None = Field(
        default=None,
        ge=16,
        le=16384,
        title="Height",
        description="Picture height in pixels; each model family needs a certain multiple.",
        json_schema_extra=_group("Size"),
    )
    batch_size: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Batch size",
        description="Pictures made side by side: quicker on a GPU, needs more memory.",
        json_schema_extra=_group("Batch"),
    )
    count: int = Field(
        default=1,
        ge=1,
        le=10000,
        title="Count",
        description="Batches made one after another.",
        json_schema_extra=_group("Batch"),
    )
    sampler_options: dict[str, float | int | bool | str] = Field(
        default_factory=dict,
        title="Sampler options",
        description="Fine settings of the sampler or scheduler by name, such as eta=0.5.",
        json_schema_extra=_group("Sampling"),
    )
    model_options: dict[str, Any] = Field(
        default_factory=dict,
        title="Model options",
        description="Knobs of the model family, such as Flux's guidance and shift.",
        json_schema_extra=_group("Model"),
    )
    stages: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        title="Stages",
        description="Stages of plugins that take part, by name, each with its options.",
        json_schema_extra=_group("Plugins"),
    )
    backend: str = Field(
        default="local",
        title="Backend",
        description="Who carries the work out.",
        json_schema_extra=_group("Model"),
    )

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _writable(cls, text: str) -> str:
        return writable(text)

    @property
    def image_total(self) -> int:
        return self.batch_size * self.count

    def filled_from(self, defaults: RequestDefaults) -> GenerationRequest:
        """This request with every field left open taken from a model's defaults."""
        open_fields = {
            name: value for name, value in defaults.model_dump().items() if getattr(self, name) is None
        }
        return self.model_copy(update=open_fields)


class RequestDefaults(BaseModel):
    """What a model family recommends when the user leaves a field open."""

    model_config = ConfigDict(frozen=True)

    steps: int = 20
    sampler: str = "euler"
    scheduler: str = "simple"
    cfg_scale: float = 1.0
    width: int = 1024
    height: int = 1024
    clip_skip: int = 1
