"""What stands on the Generate page's form, in which order; all of it comes from schemas and registries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError
from sfumato.request import GenerationRequest, GridRequest
from sfumato_ui_web.forms import FormField, FormGroup, fields_of, form_of, option_fields, section

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sfumato.registries import Registries
    from sfumato.stages import StageInfo
    from sfumato.studio import Studio

FIRST_GROUPS = ("Model", "Size", "Sampling", "Guidance", "Batch")
"""What people change most comes first; all other groups follow in the order of the schema."""

MODES = ("img2img", "inpaint", "outpaint")
"""Sections that the choice of a mode switches on, so that they have no switch of their own."""

ELSEWHERE = ("prompt", "negative_prompt", "sampler_options", "model_options", "stages")
"""Fields with an editor of their own on the page, or controls made from what is chosen."""

SCRIPTS = {"axes": ("x", "y", "z"), "matrix": ("matrix",), "prompts": ("prompts",), "pictures": ("pictures",)}
"""Ways of making many requests of one, with the sections of a grid that belong to each."""


@dataclass(frozen=True)
class GenerateForm:
    """The controls of one request.

    Attributes:
        prompts: Prompt and negative prompt.
        groups: All that is always there.
        sections: What is switched on one by one: hires fix, refiner, and what plugins add.
        modes: Start picture, mask and margins.
    """

    prompts: tuple[FormField, ...]
    groups: tuple[FormGroup, ...]
    sections: tuple[FormField, ...]
    modes: tuple[FormField, ...]


@dataclass(frozen=True)
class GridForm:
    """The controls of a grid but for its base, which the form beside has."""

    scripts: dict[str, tuple[FormField, ...]]
    settings: tuple[FormField, ...]


def generate_form(
    registries: Registries, schema: type[GenerationRequest] = GenerationRequest
) -> GenerateForm:
    """The form of a request and of the stages that plugins bring."""
    members = {member.path: member for member in fields_of(schema)}
    sections = [member for member in members.values() if member.kind == "section"]
    plain = form_of(schema, leave_out=(*ELSEWHERE, *(member.path for member in sections)))
    return GenerateForm(
        prompts=(members["prompt"], members["negative_prompt"]),
        groups=_sorted(plain),
        sections=(*(s for s in sections if s.path not in MODES), *_stage_sections(registries)),
        modes=tuple(members[mode] for mode in MODES),
    )


def grid_form(schema: type[GridRequest] = GridRequest) -> GridForm:
    """The form of a grid."""
    members = {member.path: member for member in fields_of(schema, leave_out=("base",))}
    taken = {path for paths in SCRIPTS.values() for path in paths}
    return GridForm(
        scripts={name: tuple(members[path] for path in paths) for name, paths in SCRIPTS.items()},
        settings=tuple(member for member in members.values() if member.path not in taken),
    )


def sampling_options(registries: Registries, sampler: str, scheduler: str) -> tuple[FormField, ...]:
    """The options of both, each once; nothing for names that nobody has."""
    found: dict[str, FormField] = {}
    for registry, name in ((registries.samplers, sampler), (registries.schedulers, scheduler)):
        try:
            options = registry.get(name).info.options if name else ()
        except SfumatoError:
            continue
        found |= {member.path: member for member in option_fields(options, "sampler_options")}
    return tuple(found.values())


def family_options(studio: Studio, model: str | None) -> tuple[FormField, ...]:
    """The knobs of a model's family, with what this model prefers.

    Raises:
        UnknownName: there is no such model.
    """
    info = studio.library.find(model)
    schema: type[BaseModel] = studio.registries.model_families.get(info.family).load().options
    fields = fields_of(schema, "model_options")
    preferred = {f"model_options.{name}": value for name, value in info.options.items()}
    return tuple(
        replace(member, default=preferred.get(member.path, member.default), advanced=True)
        for member in fields
    )


def _sorted(groups: tuple[FormGroup, ...]) -> tuple[FormGroup, ...]:
    last = len(FIRST_GROUPS)
    place = {name: index for index, name in enumerate(FIRST_GROUPS)}
    return tuple(sorted(groups, key=lambda group: place.get(group.name, last)))


def _stage_sections(registries: Registries) -> list[FormField]:
    return [_stage_section(entry.info) for entry in registries.stages]


def _stage_section(info: StageInfo) -> FormField:
    path = f"stages.{info.name}"
    options = option_fields(info.options, path)
    shown = tuple(replace(option, advanced=False) for option in options)
    return section(path, info.label, info.summary, shown)
