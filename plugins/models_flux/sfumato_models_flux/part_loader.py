"""The parts of a model of Flux's layout: found, opened, and made into networks with mapped weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, PartInfo, Placement, TensorInfo
from sfumato_models_flux.stored_transformer import TRANSFORMER, StoredTransformer
from sfumato_networks.compute_types import compute_type
from sfumato_networks.part_finder import PartFinder
from sfumato_networks.parts import Part
from sfumato_networks.tokenizer import Tokenizer
from sfumato_networks.weights import build_empty, load_network

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class FoundParts:
    """Where everything besides the transformer is, by kind of part."""

    parts: Mapping[str, Part]
    tokenizers: Mapping[str, Path]

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """The files that hold them, by kind; a tokenizer's are all in its folder."""
        return {kind: files_of(part.header, part.stored.values()) for kind, part in self.parts.items()} | {
            kind: tuple(sorted(path for path in folder.iterdir() if path.is_file()))
            for kind, folder in self.tokenizers.items()
        }


def find_parts(
    info: ModelInfo, finder: PartFinder, widths: Mapping[str, int], tokenizers: Mapping[str, Path | None]
) -> FoundParts:
    """Look for all parts of these kinds and widths, and for tokenizers where their folder is not known yet.

    Raises:
        MissingPart: names all that were not found.
    """
    parts = {kind: part for kind, width in widths.items() if (part := finder.find(kind, width))}
    folders = {
        kind: folder
        for kind, known in tokenizers.items()
        if (folder := known or finder.find_tokenizer(kind)) is not None
    }
    missing = [kind for kind in (*widths, *tokenizers) if kind not in {**parts, **folders}]
    if missing:
        raise finder.missing(info.name, missing)
    return FoundParts(parts, folders)


def files_of(header: CheckpointHeader, tensors: Iterable[TensorInfo]) -> tuple[Path, ...]:
    """The files that hold these tensors of a checkpoint."""
    return tuple(sorted({info.file or header.path for info in tensors}))


class PartLoader:
    """Makes networks of parts, each file opened once.

    Compute types come from `placement.part_dtypes`, then from ``wanted``, then from `placement.dtype`.

    Args:
        wanted: The compute type that the model's own options ask for, by kind of part.
    """

    def __init__(self, library: ModelLibrary, placement: Placement, wanted: Mapping[str, str]) -> None:
        self._library = library
        self._placement = placement
        self._wanted = wanted
        self._opened: dict[Path, Mapping[str, Tensor]] = {}

    def transformer(
        self,
        header: CheckpointHeader,
        stored: StoredTransformer,
        names: Iterable[str],
        build: Callable[[], N],
    ) -> N:
        """The network that ``build`` makes, with the stored tensors of these names."""
        tensors = stored.open(self._open(header.path))
        dtype = self._dtype(stored.info(names))
        return load_network(
            build_empty(build), tensors, dtype, self._placement.device, where=header.path.name
        )

    def arguments(self, part: Part) -> tuple[Mapping[str, Tensor], torch.dtype, str]:
        """The opened file, the type to compute in, and the device, for a part's loading function."""
        return self._open(part.header.path), self._dtype(part.info), self._placement.device

    def _open(self, path: Path) -> Mapping[str, Tensor]:
        if path not in self._opened:
            self._opened[path] = self._library.open_tensors(path)
        return self._opened[path]

    def _dtype(self, part: PartInfo) -> torch.dtype:
        wanted = self._placement.part_dtypes.get(part.kind, "auto")
        if wanted == "auto":
            wanted = self._wanted.get(part.kind, "auto")
        if wanted == "auto":
            wanted = self._placement.dtype
        return compute_type(
            wanted, stored=part.dtype, parameters=part.parameters, device=self._placement.device
        )


def load_tokenizer(folder: Path, part: Part, rows: int) -> Tokenizer:
    """The tokenizer of a text encoder that knows so many tokens.

    Raises:
        CheckpointError: it has more, so that it belongs to another one.
    """
    tokenizer = Tokenizer.from_folder(folder)
    if tokenizer.vocabulary_size > rows:
        raise CheckpointError(
            f"The tokenizer in '{folder}' belongs to another text encoder than '{part.header.path.name}'.",
            why=f"It has {tokenizer.vocabulary_size} tokens, the encoder knows {rows}.",
            hint="Put the model's own tokenizers beside it, into tokenizers/clip_l and tokenizers/t5xxl.",
        )
    return tokenizer


def transformer_files(header: CheckpointHeader, stored: StoredTransformer) -> dict[str, tuple[Path, ...]]:
    """The files that hold the transformer, under its kind of part."""
    return {TRANSFORMER: files_of(header, stored.tensors.values())}
