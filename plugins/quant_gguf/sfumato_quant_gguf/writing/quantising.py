"""From what a person asks for to the file that is written. Imports no torch until it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import BadInput, CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader
from sfumato_networks.part_finder import PartFinder
from sfumato_networks.part_sources import T5_TOKENIZER
from sfumato_networks.parts import T5_ENCODER
from sfumato_quant_gguf.writing.contents import DIFFUSION_MODEL, Content, content_of
from sfumato_quant_gguf.writing.metadata import file_metadata, tokenizer_metadata
from sfumato_quant_gguf.writing.places import locate, output_path
from sfumato_quant_gguf.writing.planning import PlannedTensor, Rule, plan
from sfumato_quant_gguf.writing.presets import Mix, preset
from sfumato_quant_gguf.written_types import PLAIN

if TYPE_CHECKING:
    from sfumato.events import CancelToken
    from sfumato_quant_gguf.writing.encoding import Value
    from sfumato_quant_gguf.writing.journal import WrittenTensor
    from sfumato_quant_gguf.writing.writer import GgufTask


@dataclass(frozen=True)
class Quantising:
    """A file to be written, and where its weights come from.

    Attributes:
        preset: The name of the mix.
        notes: What the person should know before.
    """

    library: ModelLibrary
    content: Content
    preset: str
    task: GgufTask
    notes: tuple[str, ...] = ()

    @property
    def numbers(self) -> int:
        """How many are written."""
        return sum(prod(tensor.shape) for tensor in self.task.tensors)

    def write(
        self,
        *,
        force: bool = False,
        cancel: CancelToken | None = None,
        on_progress: Callable[[int, str], None] = lambda done, name: None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> list[WrittenTensor]:
        """Write it, see `write_gguf`."""
        from sfumato_quant_gguf.writing.writer import write_gguf

        opened = self.content.open(self.library.open_tensors(self.content.header.path))
        return write_gguf(self.task, opened, force=force, cancel=cancel, on_progress=on_progress, tell=tell)


def prepare(
    library: ModelLibrary,
    model: str,
    to: str,
    *,
    part: str = DIFFUSION_MODEL,
    rules: Sequence[str] = (),
    output: Path | None = None,
) -> Quantising:
    """All that can be known before a weight is read.

    Args:
        model: A name in the library, or a path.
        to: A preset's name.
        rules: "PATTERN=TYPE", the first that fits counts.
        output: A file, or the folder for it; see `output_path` for what is taken without one.

    Raises:
        UnknownName: there is no such model, part, preset or type.
        BadInput: the checkpoint does not hold the part, or a rule is wrong.
        CheckpointError: the checkpoint is damaged, or nothing that is written here.
    """
    from sfumato_quant_gguf.writing.writer import GgufTask

    name, mix = preset(to)
    parsed = [Rule.parse(rule) for rule in rules]
    header = library.header(locate(library, model))
    content = content_of(header, part)
    tensors = plan(content, mix, parsed)
    tokenizer, notes = _tokenizer(content, library)
    metadata = file_metadata(content, tensors, mix.file_type, tokenizer)
    path = output_path(library, model, content, name, output)
    task = GgufTask(_source_files(header), tensors, metadata, path, makes_folder=output is None)
    return Quantising(library, content, name, task, (*_notes(content, tensors, mix), *notes))


def _source_files(header: CheckpointHeader) -> list[Path]:
    files = {info.file or header.path for info in header.tensors.values()}
    if not files:
        raise BadInput(f"'{header.path.name}' holds no weights.")
    return sorted(files)


def _tokenizer(content: Content, library: ModelLibrary) -> tuple[dict[str, Value], list[str]]:
    """T5's tokenizer for its file, and what to tell where there is none."""
    if content.kind != T5_ENCODER:
        return {}, []
    place = PartFinder(content.header, library).find_tokenizer(T5_TOKENIZER)
    if place is None:
        return {}, ["No T5 tokenizer was found: the file will have none in it."]
    try:
        return tokenizer_metadata(place, content.tensors["token_embd.weight"].shape[0]), []
    except (CheckpointError, KeyError) as error:
        return {}, [f"The file will have no tokenizer in it. {error}"]


def _notes(content: Content, tensors: Sequence[PlannedTensor], mix: Mix) -> list[str]:
    notes = []
    packed = sorted({tensor.dtype for tensor in content.tensors.values()} - {*PLAIN, "F64"})
    if packed:
        notes.append(
            f"The weights are {', '.join(packed)} already: what that lost stays lost, and this adds to it. "
            "Take the original file where there is one."
        )
    if mix.base not in PLAIN and all(tensor.type_name in PLAIN for tensor in tensors):
        notes.append(f"Nothing of it is quantised: the {content.kind.replace('_', ' ')} is kept as it is.")
    if content.left_behind:
        notes.append(
            f"Only the {content.kind} is written. To draw, it needs what else is in the source "
            f"({', '.join(content.left_behind)}) as files of their own; --part all takes everything along."
        )
    return notes
