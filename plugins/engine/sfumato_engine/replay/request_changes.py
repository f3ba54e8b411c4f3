"""A request varied: fields by name, one option of a field by a dotted name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.errors import BadInput, UnknownName
from sfumato.replay import Difference
from sfumato.request import RANDOM_SEED, GenerationRequest
from sfumato.sampler_names import resolve_sampler
from sfumato.studio import build_request
from sfumato.tasks import TaskContext

SEPARATOR = "."


def changed_request(request: GenerationRequest, changes: Mapping[str, Any]) -> GenerationRequest:
    """The request with `changes` in it; "sampler_options.eta" changes one option and leaves the others.

    An option changed to None is taken out.

    Raises:
        UnknownName: there is no such field.
        BadInput: a field that has no options, or a value that it cannot have.
    """
    values = request.model_dump(exclude_unset=True)
    for name, value in changes.items():
        field, *inner = name.split(SEPARATOR)
        if field not in GenerationRequest.model_fields:
            raise UnknownName("request field", field, GenerationRequest.model_fields)
        values[field] = _with(values.get(field, {}), inner, value, name) if inner else value
    return build_request("", values)


def _with(values: Any, inner: list[str], value: Any, name: str) -> dict[str, Any]:
    """A copy of `values` with one entry, which may lie deeper, changed."""
    if not isinstance(values, dict):
        raise BadInput(f"'{name}' cannot be set.", why=f"'{name.partition(SEPARATOR)[0]}' has no options.")
    first, *deeper = inner
    changed = _with(values.get(first, {}), deeper, value, name) if deeper else value
    others = {key: option for key, option in values.items() if key != first}
    return others if changed is None else {**others, first: changed}


def given_pictures(changes: Mapping[str, Any]) -> dict[str, Path]:
    """The start picture and the mask among the changes, by dotted name: infotexts hold neither."""
    given: dict[str, Path] = {}
    for field in ("img2img.image", "inpaint.mask"):
        name, _, key = field.partition(SEPARATOR)
        whole = changes.get(name)
        value = changes.get(field, whole.get(key) if isinstance(whole, dict) else None)
        if isinstance(value, str | Path):
            given[field] = Path(value)
    return given


def told(
    before: GenerationRequest,
    after: GenerationRequest,
    drawn: GenerationRequest,
    changes: Mapping[str, Any],
) -> tuple[Difference, ...]:
    """What the changes made of the request; those that changed nothing are left out.

    Args:
        drawn: `after` resolved: what a change left open is told as it was drawn.
    """
    differences = []
    for name in changes:
        then, now = _shown(before, name), _shown(after, name)
        if now in ("", str(RANDOM_SEED)):
            now = _shown(drawn, name)
        if then != now:
            differences.append(Difference(what=name, then=then, now=now))
    return tuple(differences)


def fitting_request(
    request: GenerationRequest, changes: Mapping[str, Any], context: TaskContext
) -> tuple[GenerationRequest, list[str]]:
    """The request without the options that another sampler, scheduler or model than the picture's lacks.

    Options that are among the changes stay: that they do not fit is an error to be told.

    Returns:
        The request, and what was left out.
    """
    left: list[str] = []
    update: dict[str, Any] = {}
    names = _sampler_option_names(request, context)
    if names is not None and {"sampler", "scheduler"} & changes.keys():
        update["sampler_options"] = _kept("sampler_options", request.sampler_options, names, changes, left)
    if "model" in changes:
        family = context.library.find(request.model).family
        schema = context.registries.model_families.get(family).load().options
        names = set(schema.model_fields)
        update["model_options"] = _kept("model_options", request.model_options, names, changes, left)
    return request.model_copy(update=update), left


def _sampler_option_names(request: GenerationRequest, context: TaskContext) -> set[str] | None:
    """What the request's sampler and scheduler have; None where one is left open or not here."""
    samplers, schedulers = context.registries.samplers, context.registries.schedulers
    try:
        sampler, scheduler = resolve_sampler(samplers, schedulers, request.sampler or "", request.scheduler)
    except UnknownName:
        return None
    if scheduler is None:
        return None
    return {option.name for option in (*sampler.info.options, *scheduler.info.options)}


def _kept(
    field: str, options: Mapping[str, Any], names: set[str], changes: Mapping[str, Any], left: list[str]
) -> dict[str, Any]:
    asked_for = changes.get(field, {})
    kept = {
        name: value
        for name, value in options.items()
        if name in names or name in asked_for or f"{field}{SEPARATOR}{name}" in changes
    }
    left += [f"{name}: {value}" for name, value in options.items() if name not in kept]
    return kept


def _shown(request: GenerationRequest, name: str) -> str:
    field, *inner = name.split(SEPARATOR)
    value = getattr(request, field)
    for key in inner:
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None else str(value)
