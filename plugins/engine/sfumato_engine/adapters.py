"""Adapters as the engine uses them: what the prompts of a pass name, put in force on its model."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sfumato.adapters import AdapterInfo, AdapterKind, AdapterUse, AppliedAdapters
from sfumato.errors import CheckpointError, PluginError
from sfumato.models import LoadedModel, TextEmbedding
from sfumato.registry import Entry
from sfumato.tasks import TaskContext
from sfumato_engine.prompts.syntax import ExtraNetwork

log = logging.getLogger(__name__)

WORKSPACE_KEY = "engine.adapter_kinds"
SHORT_HASH = 12
"""Characters of a hash in the infotext of embeddings, as in A1111."""


def uses_of(networks: Sequence[ExtraNetwork], text: str, *, hires: bool) -> list[AdapterUse]:
    """The tags of a prompt as adapters are asked for them.

    Args:
        text: The prompt that the tags' places are in.
        hires: Whether it is that of the second pass.
    """
    return [
        AdapterUse(
            tag=network.kind,
            name=network.positional[0] if network.positional else "",
            arguments=network.positional[1:],
            options=network.named,
            text=text[network.start : network.end],
            hires=hires,
        )
        for network in networks
    ]


@dataclass
class PassAdapters:
    """The adapters of one pass.

    Attributes:
        model: That they act on.
        uses: What the prompt names.
        skip_unfit: Leave out, and tell, what does not fit the model, as the prompt was written for another.
        applied: By kind, once in force.
    """

    context: TaskContext
    model: LoadedModel
    uses: Sequence[AdapterUse]
    skip_unfit: bool = False
    applied: list[AppliedAdapters] = field(default_factory=list)
    _unfit: dict[str, str] = field(default_factory=dict)
    _unread: list[str] = field(default_factory=list)

    def apply(self) -> None:
        """Put exactly these in force; the first time, their files are looked for and read.

        Raises:
            CheckpointError: one does not fit the model, or is damaged.
        """
        for applied in self.applied:
            applied.put_in_force()
        if self.applied:
            return
        self.applied = [
            self._applied(kind, [use for use in self.uses if use.tag in entry.info.tags])
            for entry, kind in self._kinds
        ]

    def _applied(self, kind: AdapterKind, uses: Sequence[AdapterUse]) -> AppliedAdapters:
        try:
            return kind.apply(self.model, uses, self.context)
        except CheckpointError:
            if not self.skip_unfit:
                raise
        for use in uses:
            try:
                kind.apply(self.model, [use], self.context)
            except CheckpointError as error:
                self._unfit[use.text] = f"{use.text} is left out: {error.what}"
        fitting = [use for use in uses if use.text not in self._unfit]
        return kind.apply(self.model, fitting, self.context)

    def embeddings(self, text: str) -> tuple[TextEmbedding, ...]:
        """The learned words that occur in a text and fit the model; others are told."""
        found = [each for _, kind in self._kinds for each in kind.embeddings(self.model, text, self.context)]
        model = self.model.info.name
        self._unread = [
            f"The embedding '{each.name}' has no vectors for '{model}': its name is read as text."
            for each in found
            if not each.vectors
        ]
        return tuple(each for each in found if each.vectors)

    @property
    def unanswered(self) -> list[str]:
        """Tags that no kind answers to, as written."""
        tags = {tag for entry, _ in self._kinds for tag in entry.info.tags}
        return list(dict.fromkeys(use.text for use in self.uses if use.tag not in tags))

    @property
    def text_identity(self) -> Hashable:
        """Equal where the text encoders are changed alike."""
        return tuple(applied.text_identity for applied in self.applied)

    @property
    def notes(self) -> list[str]:
        told = [note for applied in self.applied for note in applied.notes]
        return [*self._unfit.values(), *told, *self._unread]

    @property
    def infotext(self) -> dict[str, Any]:
        return {key: value for applied in self.applied for key, value in applied.infotext.items()}

    @property
    def files(self) -> dict[str, Path]:
        return {name: path for applied in self.applied for name, path in applied.files.items()}

    @property
    def changes_over_steps(self) -> bool:
        return any(applied.changes_over_steps for applied in self.applied)

    def at_step(self, step: int, steps: int) -> None:
        """Put the weights of this step in force."""
        for applied in self.applied:
            applied.at_step(step, steps)

    @cached_property
    def _kinds(self) -> list[tuple[Entry[AdapterInfo], AdapterKind]]:
        made: dict[str, AdapterKind] = self.context.workspace.setdefault(WORKSPACE_KEY, {})
        found = []
        for entry in self.context.registries.adapters:
            name = entry.info.name
            try:
                if name not in made:
                    made[name] = entry.load()()
            except PluginError as error:
                if any(use.tag in entry.info.tags for use in self.uses):
                    raise
                log.warning("%s", error)  # nobody asked for it
                continue
            found.append((entry, made[name]))
        return found


def infotext_of(adapters: Iterable[PassAdapters], embeddings: Iterable[TextEmbedding]) -> dict[str, Any]:
    """What the adapters and learned words of all passes add to the infotext, as A1111 writes it.

    Its fields are lists, "name: hash" each; what several passes name comes once.
    """
    named: dict[str, dict[str, None]] = {}
    for key, value in (item for each in adapters for item in each.infotext.items()):
        named.setdefault(key, {}).update(dict.fromkeys(str(value).split(", ")))
    for found in embeddings:
        named.setdefault("TI hashes", {})[f"{found.name}: {found.identity[:SHORT_HASH]}"] = None
    return {key: ", ".join(items) for key, items in named.items()}


def release_adapters(context: TaskContext, model: LoadedModel) -> None:
    """Take back all that adapters have put in place of a model's weights, which are about to move."""
    made: dict[str, AdapterKind] = context.workspace.get(WORKSPACE_KEY, {})
    for kind in made.values():
        kind.release(model)
