"""What cells name is looked for before anything is drawn: models, samplers, upscalers, styles, options.

LoRAs and files for parts are looked for with the model that they are for, when their cells are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from sfumato.errors import SfumatoError, UnknownName
from sfumato.request import GenerationRequest
from sfumato.sampler_names import resolve_sampler
from sfumato.tasks import TaskContext
from sfumato.upscaling import find_upscaler
from sfumato_grids.naming import saving_settings
from sfumato_grids.plan import Cell
from sfumato_pictures.styles import style_book


def problems_with_names(cells: Sequence[Cell], context: TaskContext) -> list[str]:
    """All names and options that there are not, with the nearest that there are."""
    requests = [cell.request for cell in cells if not cell.problem]
    problems: list[str] = []
    for look_up in (_models, _samplers, _upscalers, _face_restorers, _styles, _sampler_options, _stages):
        seen: set[Any] = set()
        for request in requests:
            for key, find in look_up(request, context):
                if key not in seen:
                    seen.add(key)
                    problems += _problem_of(find)
    return problems + _model_option_problems(requests, context)


Lookup = tuple[Any, Callable[[], Any]]
"""What is looked for, so that it is looked for once, and how."""


def _problem_of(find: Callable[[], Any]) -> list[str]:
    try:
        find()
    except SfumatoError as error:
        return [str(error).rstrip(".")]
    return []


def _models(request: GenerationRequest, context: TaskContext) -> Iterator[Lookup]:
    for one in (request, request.hires, request.refiner):
        if one and one.model:
            yield one.model, partial(context.library.find, one.model)


def _samplers(request: GenerationRequest, context: TaskContext) -> Iterator[Lookup]:
    samplers, schedulers = context.registries.samplers, context.registries.schedulers
    pairs = [(request.sampler, request.scheduler)]
    if request.hires:
        pairs.append((request.hires.sampler, request.hires.scheduler))
    for sampler, scheduler in pairs:
        if sampler:
            yield (sampler, scheduler), partial(resolve_sampler, samplers, schedulers, sampler, scheduler)
        elif scheduler:
            yield scheduler, partial(schedulers.get, scheduler)


def _upscalers(request: GenerationRequest, context: TaskContext) -> Iterator[Lookup]:
    if request.hires:
        name = request.hires.upscaler
        yield name, partial(find_upscaler, name, context.registries, context.library)


def _face_restorers(request: GenerationRequest, context: TaskContext) -> Iterator[Lookup]:
    if request.face_restorer:
        yield request.face_restorer, partial(context.registries.face_restorers.get, request.face_restorer)


def _styles(request: GenerationRequest, context: TaskContext) -> Iterator[Lookup]:
    for name in request.styles:
        yield name, partial(_check_style, name, context)


def _check_style(name: str, context: TaskContext) -> None:
    style_book(saving_settings(context)).get(name)


def _sampler_options(request: GenerationRequest, context: TaskContext) -> Iterator[Lookup]:
    """Options that no sampler and no scheduler has; whether it is this one's, drawing tells."""
    entries = [*context.registries.samplers, *context.registries.schedulers]
    known = {option.name for entry in entries for option in entry.info.options}
    for name in request.sampler_options:
        yield name, partial(_check_option, "sampler option", name, known)


def _stages(request: GenerationRequest, context: TaskContext) -> Iterator[Lookup]:
    stages = context.registries.stages
    for name, options in request.stages.items():
        yield name, partial(stages.get, name)
        for option in options if name in stages else ():
            info = stages.get(name).info
            kind, known = f"option of the stage '{info.label}'", {each.name for each in info.options}
            yield (name, option), partial(_check_option, kind, option, known)


def _check_option(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UnknownName(kind, name, known)


def _model_option_problems(requests: Sequence[GenerationRequest], context: TaskContext) -> list[str]:
    """What is wrong with the knobs of model families, checked by each family's own schema."""
    problems, seen = [], set()
    for request in requests:
        key = request.model, repr(sorted(request.model_options.items()))
        if not request.model_options or key in seen:
            continue
        seen.add(key)
        problems += _problem_of(partial(_check_model_options, request, context))
    return problems


def _check_model_options(request: GenerationRequest, context: TaskContext) -> None:
    info = context.library.find(request.model)
    schema = context.registries.model_families.get(info.family).load().options
    for name in request.model_options:
        _check_option(f"option of the model '{info.name}'", name, schema.model_fields)
    try:
        schema.model_validate({**info.options, **request.model_options})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SfumatoError(f"model_options.{name} '{first['input']}': {first['msg']}") from error
