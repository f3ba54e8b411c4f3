"""Quick questions that clients ask and plugins answer, in the process that asks: no tensor library, no queue.

What takes longer than a moment, or needs the device, is a task (`sfumato.tasks`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sfumato.library import ModelLibrary
    from sfumato.registries import Registries


class QueryInfo(BaseModel):
    """What clients need to know of a query."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    request: str = Field(description="What it is asked with: a pydantic model as 'package.module:Model'.")
    reads_paths: bool = Field(
        default=False, description="Whether fields are paths: of clients elsewhere these are checked first."
    )


@dataclass(frozen=True)
class QueryContext:
    """The narrow view of the studio that a query gets.

    Attributes:
        workspace: Kept from one query to the next, for what is dear to read.
    """

    registries: Registries
    library: ModelLibrary
    settings: Any
    workspace: dict[str, Any] = field(default_factory=dict)


class Query(Protocol):
    """Answers a question; raises `SfumatoError` for what cannot be answered.

    It may be called from several threads at once.
    """

    def __call__(self, request: Any, context: QueryContext) -> BaseModel: ...
