"""The plugins that brought what a picture was drawn with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sfumato.errors import BadInput
from sfumato.registries import Registries
from sfumato.registry import Registry
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato_engine.replay.comparison import shown
from sfumato_engine.replay.request_changes import SEPARATOR
from sfumato_engine.replay.story import Story

_NAME = re.compile(r"\w[\w.+-]*")


def check_contributors(
    story: Story, request: GenerationRequest, changes: Mapping[str, Any], context: TaskContext
) -> None:
    """Raises `BadInput` for a sampler, scheduler, family or stage not here, naming where it came from."""
    for field, what, name, registry in _used(story, request, context.registries):
        if not {field, field.partition(SEPARATOR)[0]} & changes.keys() and name not in registry:
            why, advice = _origin(story, what, context)
            raise BadInput(
                f"The {registry.kind} '{shown(name)}' is not here.",
                why=why,
                hint=f"{advice} To draw without it: {_without(field)}",
            )


def _used(
    story: Story, request: GenerationRequest, registries: Registries
) -> Iterator[tuple[str, str, str, Registry[Any]]]:
    """Field to change, name among the contributors, registered name and registry of all that took part."""
    for field, what, name, registry in (
        ("sampler", "sampler", request.sampler, registries.samplers),
        ("scheduler", "scheduler", request.scheduler, registries.schedulers),
        ("model", "family", story.model.family, registries.model_families),
    ):
        if name:
            yield field, what, name, registry
    for name in request.stages:
        yield f"stages{SEPARATOR}{name}", f"stage {name}", name, registries.stages


def _origin(story: Story, what: str, context: TaskContext) -> tuple[str, str]:
    """Which plugin brought it then, and what to do to have that plugin now."""
    plugin = _entry(story.surroundings, "contributors", what)
    if not plugin:
        why = "It came from a plugin that the picture does not name."
        return why, "'sfumato plugins' tells what is there."
    version = _entry(story.surroundings, "plugins", plugin)
    distribution = _entry(story.surroundings, "distributions", plugin)
    called = " ".join(filter(None, (f"'{plugin}'", version)))
    return f"It came from the plugin {called}.", f"{context.how_to_have(plugin, distribution)}."


def _entry(surroundings: Mapping[str, Any], group: str, name: str) -> str:
    """Nothing for what is no name: it becomes part of a command that a person may copy."""
    entries = surroundings.get(group)
    entry = shown(entries.get(name)) if isinstance(entries, Mapping) else ""
    return entry if _NAME.fullmatch(entry) else ""


def _without(field: str) -> str:
    if SEPARATOR not in field:
        return f"--set {field}=NAME"
    return f"--set {field}=null" if _NAME.fullmatch(field) else "--set stages={}"
