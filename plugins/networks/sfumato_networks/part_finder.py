"""Looks for a model's parts: in its checkpoint, beside it, then in the model folders. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import MissingPart, SfumatoError
from sfumato.library import FOLDERS, ModelLibrary
from sfumato.models import CheckpointHeader
from sfumato_networks.parts import (
    AUTOENCODER,
    CLIP_TEXT,
    T5_ENCODER,
    Part,
    has_scaled_weights,
    recognise,
)

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
        names: How its usual files or folders are called, the best first; used to choose among several.
        repository: Where to get it.
    """

    label: str
    folder: str
    names: tuple[str, ...]
    repository: str
    get: str


_FLUX = "black-forest-labs/FLUX.1-schnell"
_ENCODERS = "comfyanonymous/flux_text_encoders"
SOURCES = {
    AUTOENCODER: PartSource("the autoencoder (VAE)", "vae", ("ae", "flux"), _FLUX, "ae.safetensors"),
    CLIP_TEXT: PartSource(
        "the CLIP-L text encoder", "text_encoders", ("clip_l",), _ENCODERS, "clip_l.safetensors"
    ),
    T5_ENCODER: PartSource(
        "the T5 text encoder",
        "text_encoders",
        ("t5xxl_fp16", "t5xxl", "t5"),
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
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")


class PartFinder:
    """Finds parts for one checkpoint.

    Args:
        header: The checkpoint that needs them.
        library: Where the model folders are.

    Attributes:
        rejected: Parts of the right kind that did not fit, with the reason; for the error message.
    """

    def __init__(self, header: CheckpointHeader, library: ModelLibrary) -> None:
        self.header = header
        self.rejected: list[str] = []
        self._library = library
        self._read: dict[Path, tuple[Part, ...]] = {}

    def find(self, kind: str, width: int) -> Part | None:
        """The first part of this kind and width: in the checkpoint, beside it, in the model folders."""
        for part in self._parts(kind):
            name = part.header.path.name
            if has_scaled_weights(part.stored):
                self.rejected.append(f"'{name}' holds scaled float8 weights, which are not read yet")
            elif part.width != width:
                self.rejected.append(f"'{name}' has a width of {part.width} instead of {width}")
            else:
                log.info("%s from %s", SOURCES[kind].label, part.header.path)
                return part
        return None

    def find_tokenizer(self, kind: str) -> Path | None:
        """The folder of a tokenizer: in the checkpoint's folder, beside it, in the model folders."""
        places = [self._home / name for name in FOLDERS["tokenizers"]] + self._library.folders("tokenizers")
        folders = [place / name for place in places for name in SOURCES[kind].names]
        for folder in (self.header.path / _DIFFUSERS_TOKENIZERS[kind], *folders):
            if any((folder / name).is_file() for name in _TOKENIZER_FILES):
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

    def _parts(self, kind: str) -> Iterator[Part]:
        yield from (part for part in recognise(self.header) if part.kind == kind)
        folder = SOURCES[kind].folder
        inside = self.header.path if self.header.path.is_dir() else None
        beside = [file for name in ("", *FOLDERS[folder]) for file in _files(self._home / name)]
        for files in (beside, self._library.files(folder)):
            for file in sorted(files, key=lambda file: (_rank(file, SOURCES[kind].names), file)):
                if file != self.header.path and inside not in file.parents:
                    yield from (part for part in self._in_file(file) if part.kind == kind)

    def _in_file(self, file: Path) -> tuple[Part, ...]:
        if file not in self._read:
            self._read[file] = self._recognise_file(file)
        return self._read[file]

    def _recognise_file(self, file: Path) -> tuple[Part, ...]:
        try:
            header = self._library.header(file)
        except SfumatoError as error:
            log.info("passed over while looking for parts: %s", error)
            return ()
        # Another model's parts are not taken: Stable Diffusion 3 has an autoencoder of the shapes of Flux's.
        if any(mark in name for name in header.tensors for mark in _DIFFUSION_MODELS):
            return ()
        return recognise(header)


def _files(folder: Path) -> Iterable[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    except OSError as error:
        log.info("passed over while looking for parts: %s", error)
        return []


def _rank(file: Path, names: tuple[str, ...]) -> int:
    """Usual names first; those that say they belong to Stable Diffusion 3 last."""
    stem = file.stem.lower()
    if "sd3" in stem:
        return len(names) + 1
    return next((rank for rank, name in enumerate(names) if stem.startswith(name)), len(names))


def _listed(labels: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(labels[:-1]), labels[-1])))
