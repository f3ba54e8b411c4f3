"""Learned words from the embeddings folders; fulfils `sfumato.adapters.AdapterKind`."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.adapters import AdapterUse, MatchReport
from sfumato.errors import CheckpointError
from sfumato.models import LoadedModel, TextEmbedding
from sfumato.tasks import TaskContext
from sfumato_adapters.files import State, file_state
from sfumato_adapters.learned_words import fitted, read_vectors, text_encoder_widths
from sfumato_adapters.pickles import load_pickle
from sfumato_adapters.settings import settings_of

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "embeddings"


@dataclass
class NothingApplied:
    """Learned words change no weights: they come with the prompts that hold them."""

    reports: Sequence[MatchReport] = ()
    notes: Sequence[str] = ()
    infotext: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    text_identity: Hashable = None
    changes_over_steps: bool = False

    def put_in_force(self) -> None:
        """Nothing acts."""

    def at_step(self, step: int, steps: int) -> None:
        """Nothing changes over the steps."""


class EmbeddingKind:
    """Learned words: a file's name in the prompt stands for the vectors in it.

    A file is read when its name occurs in a prompt; only then does it matter what is in it.
    """

    def __init__(self) -> None:
        self._vectors: dict[Path, tuple[State, dict[str, Tensor]]] = {}

    def apply(self, model: LoadedModel, uses: Sequence[AdapterUse], context: TaskContext) -> NothingApplied:
        """No tag names a learned word."""
        return NothingApplied()

    def release(self, model: LoadedModel) -> None:
        """Nothing is kept for one model."""

    def embeddings(self, model: LoadedModel, text: str, context: TaskContext) -> Sequence[TextEmbedding]:
        """The learned words that occur in a text, letter case aside.

        One that lacks vectors for this model has none, and the model tells so. Of several files of one name
        the outermost is taken.

        Raises:
            CheckpointError: the file of one is damaged, or a pickle that the settings do not allow.
        """
        found: dict[str, Path] = {}
        for path in sorted(context.library.files(FOLDER), key=lambda path: len(path.parts)):
            if occurs(path.stem, text):
                found.setdefault(path.stem.lower(), path)
        if not found:
            return ()
        widths = text_encoder_widths(model.networks)
        return [
            TextEmbedding(
                name=path.stem,
                identity=context.library.sha256(path),
                path=path,
                vectors=fitted(self._read(path, context), widths),
            )
            for path in found.values()
        ]

    def _read(self, path: Path, context: TaskContext) -> dict[str, Tensor]:
        state = file_state(path)
        known = self._vectors.get(path)
        if known is None or known[0] != state:
            try:
                known = (state, read_vectors(_content(path, context)))
            except ValueError as error:
                raise CheckpointError(
                    f"'{path.name}' cannot be used as an embedding.",
                    why=f"{str(error)[:1].upper()}{str(error)[1:]}.",
                    hint=f"Get it again, or write '{path.stem}' otherwise in the prompt.",
                ) from error
            self._vectors[path] = known
        return known[1]


def occurs(name: str, text: str) -> bool:
    """Whether a word stands in a text, letter case aside, and not as part of a longer one."""
    if name.lower() not in text.lower():
        return False  # quickly: there may be thousands of files
    before, after = "(?<![0-9a-z])", "(?![0-9a-z])"
    return re.search(f"{before}{re.escape(name)}{after}", text, re.IGNORECASE) is not None


def _content(path: Path, context: TaskContext) -> Any:
    if context.library.is_weights(path):
        return context.library.open_tensors(path)
    return load_pickle(path, allowed=settings_of(context).read_pickles)
