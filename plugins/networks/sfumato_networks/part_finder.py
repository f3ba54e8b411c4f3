"""Looks for a model's parts: in its checkpoint, beside it, then in the model folders. Imports no torch.

What lies in the checkpoint's own folder under no usual name comes last: often that are other checkpoints, and
reading the headers of hundreds takes seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from sfumato.errors import BadInput, MissingPart, SfumatoError
from sfumato.library import FOLDERS, ModelLibrary
from sfumato.models import CheckpointHeader
from sfumato_networks import clip_vocabulary
from sfumato_networks.part_sources import CLIP_TOKENIZER, T5_TOKENIZER, PartSource, look_alike, source_of
from sfumato_networks.parts import AUTOENCODER, T5_ENCODER, Part, recognise
from sfumato_networks.quantised_storage import quantisation_of
from sfumato_networks.tokenizer import CARRIED, TokenizerPlace, holds_clip_tokenizer, holds_tokenizer

log = logging.getLogger(__name__)

_DIFFUSION_MODELS = ("model.diffusion_model.", "double_blocks.", "joint_blocks.", "transformer_blocks.")
# Folders number their tokenizers as their text encoders: T5's is the third of SD3, the second of Flux.
_DIFFUSERS_TOKENIZERS = {
    CLIP_TOKENIZER: ("tokenizer", "tokenizer_2"),
    T5_TOKENIZER: ("tokenizer_3", "tokenizer_2", "tokenizer"),
}


class PartFinder:
    """Finds parts for one checkpoint.

    Args:
        header: The checkpoint that needs them.
        library: Where the model folders are.
        latents: The name of the latents that its autoencoder must be for (`LatentFormat.name`): shapes do not
            tell. What the checkpoint holds itself is taken to be right.
        wished: Files to take for some kinds of parts, whatever else there is (`Placement.part_files`).

    Attributes:
        rejected: Files that hold the part, or are named like it, but cannot be taken, with the reason.
    """

    def __init__(
        self,
        header: CheckpointHeader,
        library: ModelLibrary,
        *,
        latents: str = "flux",
        wished: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.header = header
        self.latents = latents
        self.wished = wished
        self.rejected: list[str] = []
        self._library = library
        self._read: dict[Path, tuple[Part, ...] | SfumatoError] = {}

    def find(self, kind: str, width: int) -> Part | None:
        """The first part of this kind and width: in the checkpoint, beside it, in the model folders.

        An autoencoder that lies beside the checkpoint, named as it is and ending in ".vae", comes first.

        Raises:
            BadInput: a file is wished for that does not hold it.
        """
        if kind in self.wished:
            return self._wished_part(kind, width)
        for part in self._parts(kind):
            reason = self._unfit(part, width)
            if reason is None:
                log.info("%s from %s", self._source(kind).label, part.header.path)
                return part
            self.rejected.append(f"'{part.header.path.name}' {reason}")
        return None

    def find_tokenizer(self, kind: str) -> TokenizerPlace | None:
        """The folder of a tokenizer: in the checkpoint's folder, beside it, in the model folders.

        Where there is none, CLIP's comes with this package, and T5's may be in a text encoder's own file.

        Raises:
            BadInput: a folder or file is wished for that does not hold one.
        """
        if kind in self.wished:
            return self._wished_tokenizer(kind)
        places = [self._home / name for name in FOLDERS["tokenizers"]] + self._library.folders("tokenizers")
        folders = [place / name for place in places for name in self._source(kind).names]
        for folder in (self.header.path / name for name in _DIFFUSERS_TOKENIZERS[kind]):
            if holds_tokenizer(folder) and holds_clip_tokenizer(folder) == (kind == CLIP_TOKENIZER):
                return folder
        for folder in folders:
            if holds_tokenizer(folder):
                return folder
        return clip_vocabulary.FOLDER if kind == CLIP_TOKENIZER else self._carried_tokenizer()

    def missing(self, model: str, kinds: Sequence[str]) -> MissingPart:
        """The error that names the parts of these kinds as missing, what to get, and where to put it."""
        labels = [self._source(kind).label for kind in kinds]
        them = "it" if len(kinds) == 1 else "all of them"
        why = f"Neither the checkpoint, nor its folder, nor the model folders have {them}."
        if self.rejected:
            why += f" Found but not fitting: {'; '.join(dict.fromkeys(self.rejected))}."
        return MissingPart(
            f"'{model}' needs {_listed(labels)}.",
            why=why,
            hint="\n".join(("Get and put there:", *(self._advice(kind) for kind in kinds))),
        )

    def _advice(self, kind: str) -> str:
        source = self._source(kind)
        base = self._library.roots[0] if self._library.roots else self._home
        folder = base / FOLDERS[source.folder][0]
        if kind in _DIFFUSERS_TOKENIZERS:
            folder /= source.names[0]
        return f"  {source.get} from {source.repository} -> {folder}"

    def _source(self, kind: str) -> PartSource:
        return source_of(kind, self.latents)

    def _wished_part(self, kind: str, width: int) -> Part:
        file = self.wished[kind]
        parts = recognise(self._library.header(file))
        fitting = [part for part in parts if part.kind == kind]
        reasons = [self._unusable(part, width) for part in fitting]
        if None in reasons:
            return fitting[reasons.index(None)]
        found = [self._source(part.kind).label for part in parts]
        holds = f"holds {_listed(found)}, but not that" if found else "holds no part that is known"
        raise BadInput(
            f"'{file.name}' cannot be taken as {self._source(kind).label}.",
            why=f"It {reasons[0] if reasons else holds}.",
            hint="Choose another file for it, or none, and it is looked for.",
        )

    def _carried_tokenizer(self) -> CheckpointHeader | None:
        """The header of the first T5 whose file carries its tokenizer."""
        wished = self.wished.get(T5_ENCODER)
        files = [wished] if wished else self._likely_files(T5_ENCODER)
        found = (part for file in files for part in self._in_file(file, T5_ENCODER))
        headers = (part.header for part in (*recognise(self.header), *found) if part.kind == T5_ENCODER)
        return next((header for header in headers if CARRIED in header.configs), None)

    def _wished_tokenizer(self, kind: str) -> TokenizerPlace:
        file = self.wished[kind]
        if file.is_file() and self._library.is_weights(file):
            header = self._library.header(file)
            if CARRIED in header.configs:
                return header
        folder = file if file.is_dir() else file.parent
        if holds_tokenizer(folder):
            return folder
        raise BadInput(
            f"'{folder}' cannot be taken as {self._source(kind).label}.",
            why="It holds none of a tokenizer's files.",
            hint="Choose the folder with its tokenizer.json, or none, and it is looked for.",
        )

    @property
    def _home(self) -> Path:
        """The folder that holds the checkpoint."""
        return self.header.path.parent

    def _unfit(self, part: Part, width: int) -> str | None:
        """Why a part that was found cannot be taken; None where it can."""
        path = part.header.path
        if part.kind == AUTOENCODER and path != self.header.path and not self._is_namesake(path):
            other = look_alike(path, self.latents)
            if other is not None:
                return f"is named after {other}, whose autoencoder has the same shapes but other weights"
        return self._unusable(part, width)

    def _unusable(self, part: Part, width: int) -> str | None:
        form = quantisation_of(part.stored)
        if form is not None:
            return f"holds {form.label} weights, which {form.reader}"
        if part.width != width:
            return f"has a width of {part.width} instead of {width}"
        return None

    def _parts(self, kind: str) -> Iterator[Part]:
        if kind == AUTOENCODER:
            for file in filter(self._is_namesake, self._weights_in(self._home)):
                yield from (part for part in self._in_file(file, kind) if part.kind == kind)
        yield from (part for part in recognise(self.header) if part.kind == kind)
        inside = self.header.path if self.header.path.is_dir() else None
        for file in self._files(kind):
            if file != self.header.path and inside not in file.parents:
                yield from (part for part in self._in_file(file, kind) if part.kind == kind)

    def _is_namesake(self, file: Path) -> bool:
        return file.parent == self._home and file.stem == f"{self.header.path.stem}.vae"

    def _files(self, kind: str) -> Iterator[Path]:
        """All files that may hold a part of this kind, in the order of the search."""
        likely = list(self._likely_files(kind))
        yield from likely
        yield from self._ranked(kind, set(self._weights_in(self._home)) - set(likely))

    def _likely_files(self, kind: str) -> Iterator[Path]:
        """Those that lie in the folders for such parts, or are named like one."""
        source = self._source(kind)

        usual = [file for file in self._weights_in(self._home) if source.is_usual(file)]
        below = [file for name in FOLDERS[source.folder] for file in self._weights_in(self._home / name)]
        yield from self._ranked(kind, [*usual, *below])
        yield from self._ranked(kind, self._library.files(source.folder))

    def _ranked(self, kind: str, files: Iterable[Path]) -> list[Path]:
        source = self._source(kind)
        return sorted(files, key=lambda file: (source.rank(file), file))

    def _weights_in(self, folder: Path) -> list[Path]:
        try:
            files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
        except OSError as error:
            log.info("passed over while looking for parts: %s", error)
            return []
        return [file for file in files if self._library.is_weights(file)]

    def _in_file(self, file: Path, kind: str) -> tuple[Part, ...]:
        if file not in self._read:
            self._read[file] = self._recognise_file(file)
        read = self._read[file]
        if not isinstance(read, SfumatoError):
            return read
        if self._source(kind).is_usual(file):
            self.rejected.append(f"'{file.name}' cannot be read: {(read.why or read.what).rstrip('.')}")
        return ()

    def _recognise_file(self, file: Path) -> tuple[Part, ...] | SfumatoError:
        try:
            header = self._library.header(file)
        except SfumatoError as error:
            log.info("passed over while looking for parts: %s", error)
            return error
        # Another model's parts are not taken: Stable Diffusion 3 has an autoencoder of the shapes of Flux's.
        if any(mark in name for name in header.tensors for mark in _DIFFUSION_MODELS):
            return ()
        return recognise(header)


def _listed(labels: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(labels[:-1]), labels[-1])))
