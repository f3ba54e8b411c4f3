"""What a trainer is: from a folder of pictures with captions to weights, by whatever back end it drives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfumato.sampling import Option

if TYPE_CHECKING:
    from sfumato.tasks import TaskContext


class TrainerInfo(BaseModel):
    """What clients need to know of a trainer."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str = Field(description="The name people see.")
    aliases: tuple[str, ...] = ()
    summary: str = ""
    options: tuple[Option, ...] = Field(default=(), description="What only this trainer can be told.")


class TrainingConfig(BaseModel):
    """What is trained, on what, and for how long: the part that every trainer understands."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    trainer: str = Field(description="A registered trainer, by any of its names.")
    model: str | None = Field(default=None, description="The model trained upon; by default the default one.")
    dataset: Path = Field(description="Folder of pictures, each with a caption in a .txt file beside it.")
    output: Path = Field(description="The weights file to write.")
    steps: int = Field(default=1000, ge=1, le=10_000_000, description="Optimiser steps.")
    batch_size: int = Field(default=1, ge=1, le=4096, description="Pictures a step.")
    learning_rate: float = Field(default=1e-4, gt=0, le=1, description="Step size of the optimiser.")
    rank: int = Field(default=16, ge=1, le=4096, description="Rank of a LoRA.")
    alpha: float | None = Field(default=None, gt=0, description="Strength of a LoRA; by default its rank.")
    resolution: int = Field(default=512, ge=16, le=16384, description="Side of the training pictures.")
    seed: int = Field(default=0, ge=0, description="Of everything drawn by chance.")
    options: dict[str, Any] = Field(default_factory=dict, description="The trainer's own, by name.")


class TrainingResult(BaseModel):
    """What training left behind."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    path: Path = Field(description="The weights file.")
    steps: int = Field(ge=0, description="Optimiser steps taken.")
    loss: float = Field(description="Of the last steps, averaged.")


class Trainer(Protocol):
    """Trains and writes ``config.output``, whole or not at all.

    It reports `sfumato.events.StepCompleted`, calls ``context.cancel.check()`` between steps, and raises
    `BadInput` for a dataset or options it cannot use.
    """

    def __call__(self, config: TrainingConfig, context: TaskContext) -> TrainingResult: ...
