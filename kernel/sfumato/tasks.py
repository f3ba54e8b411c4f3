"""Kinds of work: a plugin registers how to do one, a backend decides where it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfumato.events import CancelToken, EventBus
from sfumato.records import ImageRecord

if TYPE_CHECKING:
    from sfumato.library import ModelLibrary
    from sfumato.registries import Registries


Lane = Literal["device", "background"]
"""Work in one lane is done one at a time; lanes run beside each other."""


class TaskInfo(BaseModel):
    """A kind of work as registered: 'generate', later 'upscale', 'train', 'caption' ..."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    request: str = Field(
        default="",
        description="What it is asked with: a pydantic model as 'package.module:Model'. Only work that tells "
        "it can be queued.",
    )
    lane: Lane = Field(
        default="device", description="Whether it needs the device, or may run beside work that does."
    )


def how_to_install(distribution: str) -> str:
    """The command; a plugin's name is not its distribution's, which on PyPI may be a stranger's."""
    return f"pip install {distribution}" if distribution else "install the package that it comes in"


@dataclass(frozen=True)
class TaskContext:
    """The narrow view of the studio that running work gets.

    Attributes:
        registries: Samplers, schedulers, model families, weight formats ...
        library: The models that exist and where their parts are.
        settings: The value tree of the settings in force, one attribute a section.
        output_folder: Where results go.
        events: Where to report progress.
        cancel: To be checked between steps.
        workspace: Kept by the backend from one task to the next (loaded models, cached conditioning).
        finished: Pictures that an earlier attempt at this very work has saved: they are not made again.
        how_to_have: Advice on a plugin that is wanted, by its name and distribution; see
            `sfumato.plugins.PluginManager.how_to_have`.
    """

    registries: Registries
    library: ModelLibrary
    settings: Any
    output_folder: Path
    events: EventBus = field(default_factory=EventBus)
    cancel: CancelToken = field(default_factory=CancelToken)
    workspace: dict[str, Any] = field(default_factory=dict)
    finished: tuple[ImageRecord, ...] = ()
    how_to_have: Callable[[str, str], str] = lambda plugin, distribution: how_to_install(distribution)


class Task(Protocol):
    """Does one piece of work from its request to its result."""

    def __call__(self, request: Any, context: TaskContext) -> Any: ...
