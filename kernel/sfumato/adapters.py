"""Adapters: small files that change what a model draws - LoRA and its kin, learned words.

A prompt names them by tags, ``<lora:name:0.8>``, or by a learned word in its text. The engine hands the tags
to the kind of adapter that answers to them, before the prompt is encoded; the kind makes exactly these act on
the loaded model, and undoes what it did for an earlier picture.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sfumato.models import LoadedModel, TextEmbedding
    from sfumato.tasks import TaskContext


class AdapterInfo(BaseModel):
    """A kind of adapter as registered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = Field(default=(), description="What its tags begin with: 'lora' for <lora:...>.")
    summary: str = ""


@dataclass(frozen=True)
class AdapterUse:
    """One adapter as a prompt asks for it: ``<tag:name:argument:key=value>``.

    Attributes:
        text: The tag as it is written, for messages.
        hires: Whether it acts on the second pass of hires fix, for which a tag may ask for other strengths.
    """

    tag: str
    name: str
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    hires: bool = False


class MatchReport(BaseModel):
    """How far an adapter's file fits a model.

    Every tensor of the file is either used or in `unknown` or `unmatched`.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    path: Path
    kinds: tuple[str, ...] = Field(default=(), description="'lora', 'loha', 'dora' ... as found in it.")
    layout: str = Field(default="", description="Whose naming the keys follow: 'kohya', 'diffusers' ...")
    made_for: str = Field(default="", description="The family that its keys and metadata speak of.")
    keys: int = Field(default=0, ge=0, description="Tensors in the file.")
    unknown: tuple[str, ...] = Field(default=(), description="Tensors whose meaning is not known.")
    unmatched: tuple[str, ...] = Field(default=(), description="Tensors for layers that the model lacks.")
    layers: Mapping[str, int] = Field(default_factory=dict, description="Layers touched, by part.")

    @property
    def is_full(self) -> bool:
        return not (self.unknown or self.unmatched)


class AppliedAdapters(Protocol):
    """The adapters of one kind acting on a model, until others are put in force there."""

    reports: Sequence[MatchReport]
    notes: Sequence[str]
    """Told to the user."""
    infotext: Mapping[str, Any]
    """Fields for the pictures' infotext, such as "Lora hashes"."""
    files: Mapping[str, Path]
    """By the name that the prompt uses."""
    text_identity: Hashable
    """Equal only where the text encoders are changed alike; None where they are as loaded."""
    changes_over_steps: bool

    def put_in_force(self) -> None:
        """Make exactly these act again, after others did; no file is looked for or read anew.

        All passes and batches of a request are drawn with what it began with, whatever becomes of files.
        """
        ...

    def at_step(self, step: int, steps: int) -> None:
        """Put the weights in force that step number `step`, from 0, of `steps` asks for."""
        ...


class AdapterKind(Protocol):
    """Adapters of one kind; made without arguments, one a studio process."""

    def apply(self, model: LoadedModel, uses: Sequence[AdapterUse], context: TaskContext) -> AppliedAdapters:
        """Make exactly these act on the model: none with an empty sequence.

        Raises:
            UnknownName: there is no such file; the nearest names are offered.
            CheckpointError: a file is damaged, or made for another family.
            BadInput: an argument that cannot be read.
        """
        ...

    def release(self, model: LoadedModel) -> None:
        """Nothing acts on the model any more, and nothing is kept for it: its weights are about to move."""
        ...

    def embeddings(self, model: LoadedModel, text: str, context: TaskContext) -> Sequence[TextEmbedding]:
        """The learned words that occur in a prompt; without vectors those that do not fit the model.

        Args:
            text: What encoders read of it, without tags and brackets; parts of other weights in lines of
                their own.
        """
        ...
