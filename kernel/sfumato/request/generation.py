"""A request for pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sfumato.request.defaults import RequestDefaults
from sfumato.request.hires import HiresPass, Refiner
from sfumato.request.img2img import Img2Img, Inpaint, Outpaint
from sfumato.request.schema import Schema, group
from sfumato.text import writable

SEED_LIMIT = 2**32
RANDOM_SEED = -1

Emphasis = Literal["original", "no_norm", "ignore", "none"]
NoiseSource = Literal["cpu", "nv"]
StepNoise = Literal["path", "brownian_tree"]


class GenerationRequest(Schema):
    """A request for pictures. Fields left at None take the model's own defaults."""

    prompt: str = Field(
        default="",
        title="Prompt",
        description="What to draw. (word:1.3) weighs a word up, [word] weighs it down, [from:to:0.5] changes "
        "it half-way, AND joins two prompts.",
        json_schema_extra=group("Prompt", lines=4),
    )
    negative_prompt: str = Field(
        default="",
        title="Negative prompt",
        description="What to steer away from; works when the CFG scale is above 1.",
        json_schema_extra=group("Prompt", lines=2),
    )
    emphasis: Emphasis = Field(
        default="original",
        title="Emphasis",
        description="How weights act: 'original' restores the encoded prompt's mean, 'no_norm' does not, "
        "'ignore' drops the weights, 'none' takes brackets as text.",
        json_schema_extra=group("Prompt", advanced=True),
    )
    clip_skip: int | None = Field(
        default=None,
        ge=1,
        le=12,
        title="Clip skip",
        description="Which layer of CLIP encodes the prompt, from the end: 1 is the last one.",
        json_schema_extra=group("Prompt", advanced=True),
    )
    model: str | None = Field(
        default=None,
        title="Model",
        description="Name of an installed model, or path of a checkpoint file or diffusers folder.",
        json_schema_extra=group("Model", choices="models"),
    )
    seed: int = Field(
        default=RANDOM_SEED,
        ge=RANDOM_SEED,
        le=SEED_LIMIT - 1,
        title="Seed",
        description="Picks the starting noise; -1 draws a new one. Each further picture uses the next seed.",
        json_schema_extra=group("Sampling"),
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        title="Steps",
        description="Denoising steps: more is slower and finer.",
        json_schema_extra=group("Sampling"),
    )
    sampler: str | None = Field(
        default=None,
        title="Sampler",
        description="The integration method, by any of its names; 'sfumato samplers' lists them.",
        json_schema_extra=group("Sampling", choices="samplers"),
    )
    scheduler: str | None = Field(
        default=None,
        title="Scheduler",
        description="How noise levels are spaced; 'sfumato schedulers' lists them.",
        json_schema_extra=group("Sampling", choices="schedulers"),
    )
    cfg_scale: float | None = Field(
        default=None,
        ge=0,
        le=100,
        title="CFG scale",
        description="How strongly the prompt rules over the negative prompt; 1 switches guidance off.",
        json_schema_extra=group("Guidance", step=0.5),
    )
    cfg_rescale: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="CFG rescale",
        description="Takes back the contrast that a high CFG scale adds: 0 nothing of it, 1 all of it.",
        json_schema_extra=group("Guidance", advanced=True, step=0.05),
    )
    guidance_start: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Guidance start",
        description="Share of the steps that follow the prompt alone, before the negative prompt takes part.",
        json_schema_extra=group("Guidance", advanced=True, step=0.05),
    )
    guidance_end: float = Field(
        default=1.0,
        ge=0,
        le=1,
        title="Guidance end",
        description="Share of the steps after which the negative prompt takes part no more.",
        json_schema_extra=group("Guidance", advanced=True, step=0.05),
    )
    negative_minimum_sigma: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        title="Negative guidance minimum sigma",
        description="Below this noise level every other step leaves out the negative prompt: quicker.",
        json_schema_extra=group("Guidance", advanced=True, step=0.1),
    )
    negative_minimum_sigma_all: bool = Field(
        default=False,
        title="Negative guidance minimum sigma, all steps",
        description="Leave the negative prompt out of all steps below that level, not of every other one.",
        json_schema_extra=group("Guidance", advanced=True),
    )
    variation_seed: int = Field(
        default=RANDOM_SEED,
        ge=RANDOM_SEED,
        le=SEED_LIMIT - 1,
        title="Variation seed",
        description="Picks the noise that is mixed in by the variation strength; -1 draws a new one. "
        "Each further picture uses the next variation seed, and all share the seed.",
        json_schema_extra=group("Noise", advanced=True),
    )
    variation_strength: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Variation strength",
        description="From the seed's noise (0) to the variation seed's (1).",
        json_schema_extra=group("Noise", advanced=True, step=0.01),
    )
    seed_resize_width: int = Field(
        default=0,
        ge=0,
        le=16384,
        title="Seed resize width",
        description="Width of the picture whose composition the seed should keep; 0 for this picture's.",
        json_schema_extra=group("Noise", advanced=True, unit="pixels", step=8),
    )
    seed_resize_height: int = Field(
        default=0,
        ge=0,
        le=16384,
        title="Seed resize height",
        description="Height of the picture whose composition the seed should keep; 0 for this picture's.",
        json_schema_extra=group("Noise", advanced=True, unit="pixels", step=8),
    )
    noise_seed_delta: int = Field(
        default=0,
        ge=0,
        le=SEED_LIMIT - 1,
        title="Eta noise seed delta",
        description="Added to the seed for the noise that samplers add on the way (ENSD).",
        json_schema_extra=group("Noise", advanced=True),
    )
    noise_source: NoiseSource = Field(
        default="cpu",
        title="Noise source",
        description="Whose random numbers: torch's on a CPU, or an NVIDIA GPU's ('nv', on any device).",
        json_schema_extra=group("Noise", advanced=True),
    )
    step_noise: StepNoise = Field(
        default="path",
        title="Step noise",
        description="Noise that samplers add on the way: a quick Brownian path, or k-diffusion's "
        "'brownian_tree', which the SDE samplers of A1111 and ComfyUI use.",
        json_schema_extra=group("Noise", advanced=True),
    )
    width: int | None = Field(
        default=None,
        ge=16,
        le=16384,
        title="Width",
        description="Picture width in pixels; each model family needs a certain multiple.",
        json_schema_extra=group("Size", unit="pixels", step=8),
    )
    height: int | None = Field(
        default=None,
        ge=16,
        le=16384,
        title="Height",
        description="Picture height in pixels; each model family needs a certain multiple.",
        json_schema_extra=group("Size", unit="pixels", step=8),
    )
    batch_size: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Batch size",
        description="Pictures made side by side: quicker on a GPU, needs more memory.",
        json_schema_extra=group("Batch"),
    )
    count: int = Field(
        default=1,
        ge=1,
        le=10000,
        title="Count",
        description="Batches made one after another.",
        json_schema_extra=group("Batch"),
    )
    sampler_options: dict[str, float | int | bool | str] = Field(
        default_factory=dict,
        title="Sampler options",
        description="Fine settings of the sampler or scheduler by name, such as eta=0.5.",
        json_schema_extra=group("Sampling", advanced=True, choices="sampler_options"),
    )
    model_options: dict[str, Any] = Field(
        default_factory=dict,
        title="Model options",
        description="Knobs of the model family, such as Flux's guidance and shift.",
        json_schema_extra=group("Model", advanced=True, choices="model_options"),
    )
    styles: tuple[str, ...] = Field(
        default=(),
        title="Styles",
        description="Names from the styles file, whose texts are put around the prompts.",
        json_schema_extra=group("Prompt", choices="styles"),
    )
    regions: tuple[Path, ...] = Field(
        default=(),
        title="Regions",
        description="Masks of the prompts that AND joins, in their order: each acts where its mask is white.",
        json_schema_extra=group("Prompt", advanced=True, picture=True),
    )
    parts: dict[str, str] = Field(
        default_factory=dict,
        title="Parts",
        description="Files for parts of the model, by kind, such as autoencoder=sdxl_vae.",
        json_schema_extra=group("Model", advanced=True, choices="parts"),
    )
    img2img: Img2Img | None = Field(
        default=None,
        title="img2img",
        description="The picture to start from.",
        json_schema_extra=group("img2img"),
    )
    inpaint: Inpaint | None = Field(
        default=None,
        title="Inpaint",
        description="Which part of the start picture is painted anew.",
        json_schema_extra=group("Inpaint"),
    )
    outpaint: Outpaint | None = Field(
        default=None,
        title="Outpaint",
        description="How far the start picture is carried on beyond its edges.",
        json_schema_extra=group("Outpaint"),
    )
    hires: HiresPass | None = Field(
        default=None,
        title="Hires fix",
        description="A second pass over the enlarged picture.",
        json_schema_extra=group("Hires fix"),
    )
    refiner: Refiner | None = Field(
        default=None,
        title="Refiner",
        description="Another model that takes over in the course of the steps.",
        json_schema_extra=group("Refiner"),
    )
    tiling: bool = Field(
        default=False,
        title="Tiling",
        description="Draw pictures that can be laid side by side without a seam.",
        json_schema_extra=group("Size", advanced=True),
    )
    face_restorer: str | None = Field(
        default=None,
        title="Face restoration",
        description="What mends faces in finished pictures, where a plugin brings one.",
        json_schema_extra=group("Plugins", advanced=True, choices="face_restorers"),
    )
    stages: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        title="Stages",
        description="Stages of plugins that take part, by name, each with its options.",
        json_schema_extra=group("Plugins", advanced=True, choices="stages"),
    )
    backend: str = Field(
        default="local",
        title="Backend",
        description="Who carries the work out.",
        json_schema_extra=group("Model", advanced=True, choices="backends"),
    )

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _writable(cls, text: str) -> str:
        return writable(text)

    @property
    def image_total(self) -> int:
        return self.batch_size * self.count

    @model_validator(mode="after")
    def _has_a_picture_to_change(self) -> GenerationRequest:
        if self.img2img is None and (self.inpaint or self.outpaint):
            raise ValueError("inpainting and outpainting need the picture to start from: img2img.image")
        if self.inpaint and self.outpaint:
            raise ValueError("inpainting and outpainting cannot be done in one request")
        return self

    def filled_from(self, defaults: RequestDefaults) -> GenerationRequest:
        """This request with every field left open taken from a model's defaults."""
        open_fields = {
            name: value for name, value in defaults.model_dump().items() if getattr(self, name) is None
        }
        return self.model_copy(update=open_fields)
