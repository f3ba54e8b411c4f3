"""The parts of a model: found, opened once, and made into networks that compute in the types asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, PartInfo, Placement, TensorInfo
from sfumato_networks.compute_types import compute_type
from sfumato_networks.part_finder import PartFinder
from sfumato_networks.parts import AUTOENCODER, CLIP_KINDS, Part
from sfumato_networks.tokenizer import Tokenizer, TokenizerPlace
from sfumato_networks.weights import Destination, build_empty, load_network

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class FoundParts:
    """Where everything besides the diffusion model is, by kind of part."""

    parts: Mapping[str, Part]
    tokenizers: Mapping[str, TokenizerPlace]

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """The files that hold them, by kind; a tokenizer's are all in its folder."""
        return {kind: files_of(part.header, part.stored.values()) for kind, part in self.parts.items()} | {
            kind: _files_at(place) for kind, place in self.tokenizers.items()
        }


def _files_at(place: TokenizerPlace) -> tuple[Path, ...]:
    if isinstance(place, CheckpointHeader):
        return (place.path,)
    return tuple(sorted(path for path in place.iterdir() if path.is_file()))


def find_parts(
    info: ModelInfo,
    finder: PartFinder,
    widths: Mapping[str, int],
    tokenizers: Mapping[str, TokenizerPlace | None],
) -> FoundParts:
    """Look for all parts of these kinds and widths, and for tokenizers where their place is not known yet.

    Raises:
        MissingPart: names all that were not found.
    """
    parts = {kind: part for kind, width in widths.items() if (part := finder.find(kind, width))}
    places = {
        kind: place
        for kind, known in tokenizers.items()
        if (place := known or finder.find_tokenizer(kind)) is not None
    }
    missing = [kind for kind in (*widths, *tokenizers) if kind not in {**parts, **places}]
    if missing:
        raise finder.missing(info.name, missing)
    return FoundParts(parts, places)


def files_of(header: CheckpointHeader, tensors: Iterable[TensorInfo]) -> tuple[Path, ...]:
    """The files that hold these tensors of a checkpoint."""
    return tuple(sorted({info.file or header.path for info in tensors}))


class PartLoader:
    """Makes networks of parts, each file opened once.

    Compute types come from `placement.part_dtypes`, then from ``wanted``, then from `placement.dtype`.

    Args:
        wanted: The compute type that the model's own options ask for, by kind of part.
        fits_float16: The kinds of parts whose signals stay within its range; those of CLIPs do anyway.
    """

    def __init__(
        self,
        library: ModelLibrary,
        placement: Placement,
        wanted: Mapping[str, str],
        fits_float16: Collection[str] = (),
    ) -> None:
        self.device = placement.device
        self._library = library
        self._placement = placement
        self._wanted = wanted
        self._fits_float16 = {*CLIP_KINDS, *fits_float16}
        self._opened: dict[Path, Mapping[str, Tensor]] = {}

    def network(
        self,
        header: CheckpointHeader,
        part: PartInfo,
        tensors: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
        build: Callable[[], N],
    ) -> N:
        """The network that ``build`` makes, with what ``tensors`` takes out of the opened checkpoint."""
        weights = tensors(self.opened(header.path))
        return load_network(
            build_empty(build),
            weights,
            self.dtype(part),
            self._destination(part.kind),
            where=header.path.name,
        )

    def arguments(self, part: Part) -> tuple[Mapping[str, Tensor], torch.dtype, Destination]:
        """The opened file, the type to compute in, and the destination, for a part's loading function."""
        return self.opened(part.header.path), self.dtype(part.info), self._destination(part.kind)

    def _destination(self, kind: str) -> Destination:
        """Autoencoders are not packed, as their errors show, nor are CLIPs, which are small."""
        name, pack = self._placement.quantisation, None
        if name and kind not in (AUTOENCODER, *CLIP_KINDS):
            quantisation = self._library.quantisation(name)
            pack = partial(quantisation.pack, device=self.device)
        return Destination(self.device, self._placement.deferred, pack)

    def opened(self, path: Path) -> Mapping[str, Tensor]:
        """The tensors of a checkpoint."""
        if path not in self._opened:
            self._opened[path] = self._library.open_tensors(path)
        return self._opened[path]

    def dtype(self, part: PartInfo) -> torch.dtype:
        """The type that a part computes in; raises `BadInput` where that is none for the device."""
        placement = self._placement
        choices = placement.part_dtypes.get(part.kind, "auto"), self._wanted.get(part.kind, "auto")
        return compute_type(
            next((choice for choice in choices if choice != "auto"), placement.dtype),
            stored=part.dtype,
            parameters=part.parameters,
            device=self.device,
            fits_float16=part.kind in self._fits_float16,
        )


def load_tokenizer(place: TokenizerPlace, part: Part, rows: int) -> Tokenizer:
    """The tokenizer of a text encoder that knows so many tokens.

    Raises:
        CheckpointError: it has more, so that it belongs to another one.
    """
    tokenizer = Tokenizer.read(place)
    if tokenizer.vocabulary_size > rows:
        where = place if isinstance(place, Path) else place.path
        raise CheckpointError(
            f"The tokenizer in '{where}' belongs to another text encoder than '{part.header.path.name}'.",
            why=f"It has {tokenizer.vocabulary_size} tokens, the encoder knows {rows}.",
            hint="Put the model's own tokenizers beside it, into tokenizers/clip_l and tokenizers/t5xxl.",
        )
    return tokenizer
