"""LoRA and the kinds of LyCORIS, as prompts ask for them by tags; fulfils `sfumato.adapters.AdapterKind`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sfumato.adapters import AdapterUse, MatchReport
from sfumato.models import LoadedModel, TextEmbedding
from sfumato.tasks import TaskContext
from sfumato_adapters.acting import ActingAdapters, Place
from sfumato_adapters.block_weights import BlockFactors
from sfumato_adapters.embedding import occurs
from sfumato_adapters.file_checks import damaged
from sfumato_adapters.files import LoraFiles, State, file_state
from sfumato_adapters.layouts import BUNDLED_WORDS
from sfumato_adapters.learned_words import bundled_words, fitted, read_vectors, text_encoder_widths
from sfumato_adapters.reading import read_adapter
from sfumato_adapters.settings import AdapterSettings, settings_of
from sfumato_adapters.stacks import Piece
from sfumato_adapters.tags import LoraTag, read_tag

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sfumato_adapters.changes import LayerChange

_DRAWING = ("unet", "transformer")
"""The parts that strengths over the steps reach; the others have read the prompt by then."""


@dataclass(frozen=True)
class OpenFile:
    """A file as it fits one model.

    Attributes:
        state: Of the file when it was read.
        words: The learned words that it brings along, by kind of text encoder.
    """

    path: Path
    state: State
    report: MatchReport
    metadata: Mapping[str, str]
    changes: Sequence[LayerChange]
    notes: Sequence[str]
    words: Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class ActiveLora:
    """One tag of the prompt, with its file."""

    use: AdapterUse
    tag: LoraTag
    file: OpenFile
    blocks: BlockFactors

    @property
    def changes_text(self) -> bool:
        return any(self._factor(change) for change in self.file.changes if change.part not in _DRAWING)

    @property
    def text_identity(self) -> Hashable:
        return self.file.state, self.tag.text_strength, self.tag.rank, self.tag.blocks

    def pieces(self, number: int) -> list[tuple[Place, Piece]]:
        """Its changes that are not at 0 throughout; its slots are 2 * number and the one after."""
        found = []
        for index, change in enumerate(self.file.changes):
            factor = self._factor(change)
            if not factor:
                continue
            slot = 2 * number + (change.part in _DRAWING)
            identity = (self.file.state, index, self.tag.rank)
            place = Place(change.part, change.target.layer, change.parameter)
            found.append((place, Piece(change, slot, factor, self.tag.rank, identity)))
        return found

    def _factor(self, change: LayerChange) -> float:
        """What its strengths are multiplied by; 0 where they are 0 throughout."""
        drawing = change.part in _DRAWING
        if not (any(value for _, value in self.tag.strength.points) if drawing else self.tag.text_strength):
            return 0.0
        return self.blocks.of(change.part, change.target.layer)


@dataclass
class AppliedLoras:
    """The LoRAs acting on a model; fulfils `sfumato.adapters.AppliedAdapters`.

    Attributes:
        act: Puts them in force.
    """

    reports: Sequence[MatchReport]
    notes: Sequence[str]
    files: Mapping[str, Path]
    text_identity: Hashable
    changes_over_steps: bool
    active: Sequence[ActiveLora] = field(repr=False)
    acting: ActingAdapters = field(repr=False)
    act: Callable[[], None] = field(repr=False)
    known: LoraFiles = field(repr=False)

    @cached_property
    def infotext(self) -> Mapping[str, Any]:
        """A1111's field of hashes; worked out when asked for, as files may have to be read whole."""
        hashes = {
            lora.use.name.replace(":", "").replace(",", ""): self.known.short_hash(
                lora.file.path, lora.file.state, lora.file.metadata
            )
            for lora in self.active
        }
        told = ", ".join(f"{name}: {digest}" for name, digest in hashes.items() if digest)
        return {"Lora hashes": told} if told else {}

    def put_in_force(self) -> None:
        """Make exactly these act again."""
        self.act()

    def at_step(self, step: int, steps: int) -> None:
        """Put the strengths in force that this step asks for."""
        if self.changes_over_steps:
            self.acting.set_strengths(strengths(self.active, step, steps))


def strengths(active: Sequence[ActiveLora], step: int, steps: int) -> list[float]:
    """Two for each LoRA: on the text encoders, on the network that draws."""
    return [value for lora in active for value in (lora.tag.text_strength, lora.tag.at(step, steps))]


class LoraKind:
    """Everything that `<lora:...>` may name."""

    def __init__(self) -> None:
        self._files = LoraFiles()
        self._models: WeakKeyDictionary[LoadedModel, _ModelState] = WeakKeyDictionary()

    def apply(self, model: LoadedModel, uses: Sequence[AdapterUse], context: TaskContext) -> AppliedLoras:
        """Make exactly these act on the model; see `sfumato.adapters.AdapterKind`."""
        state = self._models.get(model)
        if state is None:
            state = self._models[model] = _ModelState()
        tags = [read_tag(use) for use in uses]
        found = self._files.find([use.name for use in uses], context.library)
        active = []
        for use, tag in zip(uses, tags, strict=True):
            blocks = BlockFactors(tag.blocks, model.networks, use.text or use.name)
            active.append(ActiveLora(use, tag, state.open(found[use.name].path, model, context), blocks))
        settings = settings_of(context)
        state.close_all_but(settings.keep_files, {lora.file.path for lora in active})
        act = partial(state.act, active, model.networks, settings)
        act()
        reports = [lora.file.report.model_copy(update={"name": lora.use.name}) for lora in active]
        notes = [file.note(name) for name, file in found.items()]
        for lora in active:
            notes += [note_of(lora.file.report), *lora.file.notes]
        notes.append(state.acting.note)
        return AppliedLoras(
            reports=reports,
            notes=[note for note in dict.fromkeys(notes) if note],
            files={lora.use.name: lora.file.path for lora in active},
            text_identity=tuple(lora.text_identity for lora in active if lora.changes_text) or None,
            changes_over_steps=any(lora.tag.changes_over_steps for lora in active),
            active=active,
            acting=state.acting,
            act=act,
            known=self._files,
        )

    def release(self, model: LoadedModel) -> None:
        """The model is as it was loaded, and nothing is kept for it but the files that were read."""
        state = self._models.get(model)
        if state is not None:
            state.acting.clear()

    def embeddings(self, model: LoadedModel, text: str, context: TaskContext) -> Sequence[TextEmbedding]:
        """The learned words in a text that the LoRAs in force bring along."""
        state = self._models.get(model)
        return [
            TextEmbedding(word, context.library.sha256(lora.file.path), lora.file.path, vectors)
            for lora in (state.active if state else ())
            for word, vectors in lora.file.words.items()
            if occurs(word, text)
        ]


def note_of(report: MatchReport) -> str:
    """What is told of a file that fits the model in part; empty where it fits whole."""
    unused = (*report.unmatched, *report.unknown)
    if not unused:
        return ""
    verb = "was" if len(unused) == 1 else "were"
    count = f"{len(unused)} of {report.keys} tensors {verb} not used"
    return f"{report.path.name}: {count}, the first is {unused[0]}."


def _read(path: Path, state: State, model: LoadedModel, context: TaskContext) -> OpenFile:
    """Raises `CheckpointError` for a file that is damaged or made for another family."""
    tensors, metadata = context.library.open_tensors(path), context.library.header(path).metadata
    read = read_adapter(path, tensors, metadata, model)
    widths = text_encoder_widths(model.networks)
    try:
        words = {word: fitted(read_vectors(found), widths) for word, found in bundled_words(tensors).items()}
    except ValueError as error:
        raise damaged(path, BUNDLED_WORDS.rstrip("."), error) from error
    return OpenFile(path, state, read.report, metadata, read.changes, read.notes, words)


class _ModelState:
    """What is kept for one model, for as long as it is loaded."""

    def __init__(self) -> None:
        self.acting = ActingAdapters()
        self.active: Sequence[ActiveLora] = ()
        self._open: OrderedDict[Path, OpenFile] = OrderedDict()

    def act(
        self, active: Sequence[ActiveLora], networks: Mapping[str, nn.Module], settings: AdapterSettings
    ) -> None:
        """Make exactly these act; should it fail, nothing acts."""
        self.active = ()
        pieces: dict[Place, list[Piece]] = {}
        for number, lora in enumerate(active):
            for place, piece in lora.pieces(number):
                pieces.setdefault(place, []).append(piece)
        changing = frozenset(
            2 * number + 1 for number, lora in enumerate(active) if lora.tag.changes_over_steps
        )
        self.acting.act(networks, pieces, strengths(active, 0, 1), changing, settings)
        self.active = active

    def open(self, path: Path, model: LoadedModel, context: TaskContext) -> OpenFile:
        """The file as it fits this model, read unless that was done before and it is unchanged since."""
        state = file_state(path)
        known = self._open.get(path)
        if known is None or known.state != state:
            known = _read(path, state, model, context)
        self._open[path] = known
        self._open.move_to_end(path)
        return known

    def close_all_but(self, count: int, wanted: set[Path]) -> None:
        """Keep those that are wanted, and of the others the last ones used, so many in all."""
        for path in [path for path in self._open if path not in wanted]:
            if len(self._open) <= count:
                return
            del self._open[path]
