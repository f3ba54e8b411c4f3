"""Looks for a model's parts: in its checkpoint, beside it, then in the model folders. Imports no torch.

What lies in the checkpoint's own folder under no usual name comes last: often that are other checkpoints, and
reading the headers of hundreds takes seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sfumato.errors import MissingPart, SfumatoError
from sfumato.library import FOLDERS, ModelLibrary
from sfumato.models import CheckpointHeader
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER, Part, recognise
from sfumato_networks.quantised_storage import quantisation_of
from sfumato_networks.tokenizer import holds_tokenizer

log = logging.getLogger(__name__)

CLIP_TOKENIZER = "clip_tokenizer"
T5_TOKENIZER = "t5_tokenizer"

_DIFFUSION_MODELS = ("model.diffusion_model.", "double_blocks.", "joint_blocks.", "transformer_blocks.")


@dataclass(frozen=True)
class PartSource:
    """Where people get a part, and where they put it.

    Attributes:
        label: What the part is called in messages.
        folder: The sub-folder of a model folder it belongs into.
        names: How its usual files are called, the best first: patterns for a name in lower case, without its
            ending. Of a tokenizer, the name of its folder.
        repository: Where to get it.
        get: What to get there.
    """

    label: str
    folder: str
    names: tuple[str, ...]
    repository: str
    get: str


_FLUX = "black-forest-labs/FLUX.1-schnell"
_ENCODERS = "comfyanonymous/flux_text_encoders"
SOURCES = {
    AUTOENCODER: PartSource(
        "the autoencoder (VAE)", "vae", ("ae", "ae[!a-z]*", "flux*ae*"), _FLUX, "ae.safetensors"
    ),
    CLIP_TEXT: PartSource(
        "the CLIP-L text encoder", "text_encoders", ("clip?l*",), _ENCODERS, "clip_l.safetensors"
    ),
    T5_ENCODER: PartSource(
        "the T5 text encoder",
        "text_encoders",
        ("t5xxl_fp16*", "t5xxl*", "t5*"),
        _ENCODERS,
        "t5xxl_fp16.safetensors",
    ),
    CLIP_TOKENIZER: PartSource(
        "the CLIP tokenizer",
        "tokenizers",
        ("clip_l",),
        _FLUX,
        "vocab.json and merges.txt of the folder tokenizer/",
    ),
    T5_TOKENIZER: PartSource(
        "the T5 tokenizer", "tokenizers", ("t5xxl",), _FLUX, "tokenizer.json of the folder tokenizer_2/"
    ),
}
_DIFFUSERS_TOKENIZERS = {CLIP_TOKENIZER: "tokenizer", T5_TOKENIZER: "tokenizer_2"}


class PartFinder:
    """Finds parts for one checkpoint.

    Args:
        header: The checkpoint that needs them.
        library: Where the model folders are.

    Attributes:
        rejected: Files that hold the part, or are named like it, but cannot be taken, with the reason.
    """

    def __init__(self, header: CheckpointHeader, library: ModelLibrary) -> None:
        self.header = header
        self.rejected: list[str] = []
        self._library = library
        self._read: dict[Path, tuple[Part, ...] | SfumatoError] = {}

    def find(self, kind: str, width: int) -> Part | None:
        """The first part of this kind and width: in the checkpoint, beside it, in the model folders."""
        for part in self._parts(kind):
            reason = self._unfit(part, width)
            if reason is None:
                log.info("%s from %s", SOURCES[kind].label, part.header.path)
                return part
            self.rejected.append(f"'{part.header.path.name}' {reason}")
        return None

    def find_tokenizer(self, kind: str) -> Path | None:
        """The folder of a tokenizer: in the checkpoint's folder, beside it, in the model folders."""
        places = [self._home / name for name in FOLDERS["tokenizers"]] + self._library.folders("tokenizers")
        folders = [place / name for place in places for name in SOURCES[kind].names]
        for folder in (self.header.path / _DIFFUSERS_TOKENIZERS[kind], *folders):
            if holds_tokenizer(folder):
                return folder
        return None

    def missing(self, model: str, kinds: Sequence[str]) -> MissingPart:
        """The error that names the parts of these kinds as missing, what to get, and where to put it."""
        labels = [SOURCES[kind].label for kind in kinds]
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
        source = SOURCES[kind]
        base = self._library.roots[0] if self._library.roots else self._home
        folder = base / FOLDERS[source.folder][0]
        if kind in _DIFFUSERS_TOKENIZERS:
            folder /= source.names[0]
        return f"  {source.get} from {source.repository} -> {folder}"

    @property
    def _home(self) -> Path:
        """The folder that holds the checkpoint."""
        return self.header.path.parent

    def _unfit(self, part: Part, width: int) -> str | None:
        """Why a part cannot be taken; None where it can."""
        form = quantisation_of(part.stored)
        if form is not None:
            return f"holds {form} weights, which are not read yet"
        if part.width != width:
            return f"has a width of {part.width} instead of {width}"
        path = part.header.path
        if part.kind == AUTOENCODER and "sd3" in path.stem.lower() and path != self.header.path:
            return "is named after Stable Diffusion 3, whose autoencoder has Flux's shapes but other weights"
        return None

    def _parts(self, kind: str) -> Iterator[Part]:
        yield from (part for part in recognise(self.header) if part.kind == kind)
        inside = self.header.path if self.header.path.is_dir() else None
        for file in self._files(kind):
            if file != self.header.path and inside not in file.parents:
                yield from (part for part in self._in_file(file, kind) if part.kind == kind)

    def _files(self, kind: str) -> Iterator[Path]:
        """All files that may hold a part of this kind, in the order of the search."""
        source = SOURCES[kind]

        def ranked(files: Iterable[Path]) -> list[Path]:
            return sorted(files, key=lambda file: (_rank(file, source), file))

        here = self._weights_in(self._home)
        usual = [file for file in here if _is_usual(file, source)]
        below = [file for name in FOLDERS[source.folder] for file in self._weights_in(self._home / name)]
        yield from ranked([*usual, *below])
        yield from ranked(self._library.files(source.folder))
        yield from ranked(set(here) - set(usual))

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
        if _is_usual(file, SOURCES[kind]):
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


def _rank(file: Path, source: PartSource) -> int:
    """The place of a file's name among the usual ones; their number for all others."""
    stem = file.stem.lower()
    ranks = (rank for rank, pattern in enumerate(source.names) if fnmatchcase(stem, pattern))
    return next(ranks, len(source.names))


def _is_usual(file: Path, source: PartSource) -> bool:
    return _rank(file, source) < len(source.names)


def _listed(labels: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(labels[:-1]), labels[-1])))
