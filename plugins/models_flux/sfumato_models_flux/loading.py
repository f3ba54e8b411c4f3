"""A Flux model from its checkpoint and the parts found for it, with mapped weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, PartInfo, Placement, TensorInfo
from sfumato_models_flux.config import FluxConfig
from sfumato_models_flux.detection import read_config
from sfumato_models_flux.latent_space import latent_format, read_scaling
from sfumato_models_flux.model import FluxModel
from sfumato_models_flux.options import FluxOptions
from sfumato_models_flux.prompts import PromptEncoder
from sfumato_models_flux.stored_transformer import TRANSFORMER, StoredTransformer, find_transformer
from sfumato_models_flux.transformer import FluxTransformer
from sfumato_networks.compute_types import compute_type
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER, PartFinder
from sfumato_networks.part_loading import load_autoencoder, load_clip_text, load_t5_encoder
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER, Part
from sfumato_networks.tokenizer import Tokenizer
from sfumato_networks.weights import build_empty, load_network


@dataclass(frozen=True)
class FoundParts:
    """Where everything besides the transformer is."""

    autoencoder: Part
    clip: Part
    t5: Part
    clip_tokenizer: Path
    t5_tokenizer: Path

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """The files that hold them, by kind; a tokenizer's are all in its folder."""
        parts = (self.autoencoder, self.clip, self.t5)
        tokenizers = {CLIP_TOKENIZER: self.clip_tokenizer, T5_TOKENIZER: self.t5_tokenizer}
        return {part.kind: files_of(part.header, part.stored.values()) for part in parts} | {
            kind: tuple(sorted(path for path in folder.iterdir() if path.is_file()))
            for kind, folder in tokenizers.items()
        }


def load(info: ModelInfo, library: ModelLibrary, placement: Placement) -> FluxModel:
    """Build the model.

    Compute types come from `placement.part_dtypes`, then `info.options`, then `placement.dtype`.

    Raises:
        MissingPart: names every part that was not found.
        CheckpointError: a part's weights or tokenizer do not fit.
    """
    header = library.header(info.path)
    stored = find_transformer(header)
    if stored is None:
        raise CheckpointError(f"'{info.path.name}' holds no Flux transformer.", hint="Detect the file again.")
    config = read_config(header, stored)
    found = find_parts(info, PartFinder(header, library), config)
    loader = _Loader(info, library, placement)
    autoencoder = load_autoencoder(found.autoencoder, *loader.arguments(found.autoencoder))
    return FluxModel(
        info,
        loader.transformer(header, stored, config),
        autoencoder,
        loader.prompts(found),
        latent_format(found.autoencoder, autoencoder.config, header.metadata),
        read_scaling(found.autoencoder, header.metadata),
        files={TRANSFORMER: files_of(header, stored.tensors.values()), **found.files},
    )


def files_of(header: CheckpointHeader, tensors: Iterable[TensorInfo]) -> tuple[Path, ...]:
    """The files that hold these tensors of a checkpoint."""
    return tuple(sorted({info.file or header.path for info in tensors}))


def find_parts(info: ModelInfo, finder: PartFinder, config: FluxConfig) -> FoundParts:
    """Look for all parts that fit the transformer; raises `MissingPart` naming all that were not found."""
    widths = {
        AUTOENCODER: config.out_channels // 4,
        CLIP_TEXT: config.vector_size,
        T5_ENCODER: config.context_size,
    }
    parts = {kind: part for kind, width in widths.items() if (part := finder.find(kind, width))}
    tokenizers = {
        kind: folder for kind in (CLIP_TOKENIZER, T5_TOKENIZER) if (folder := finder.find_tokenizer(kind))
    }
    missing = [
        kind for kind in (*widths, CLIP_TOKENIZER, T5_TOKENIZER) if kind not in {**parts, **tokenizers}
    ]
    if missing:
        raise finder.missing(info.name, missing)
    return FoundParts(
        autoencoder=parts[AUTOENCODER],
        clip=parts[CLIP_TEXT],
        t5=parts[T5_ENCODER],
        clip_tokenizer=tokenizers[CLIP_TOKENIZER],
        t5_tokenizer=tokenizers[T5_TOKENIZER],
    )


class _Loader:
    """Makes networks of parts, each file opened once."""

    def __init__(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> None:
        self._library = library
        self._placement = placement
        self._opened: dict[Path, Mapping[str, Tensor]] = {}
        options = FluxOptions.model_validate(info.options)
        self._wanted = {
            TRANSFORMER: options.transformer_dtype,
            CLIP_TEXT: options.text_dtype,
            T5_ENCODER: options.text_dtype,
            AUTOENCODER: options.vae_dtype,
        }

    def transformer(
        self, header: CheckpointHeader, stored: StoredTransformer, config: FluxConfig
    ) -> FluxTransformer:
        tensors = stored.open(self._open(header.path))
        dtype = self._dtype(stored.info(config))
        network = build_empty(lambda: FluxTransformer(config))
        return load_network(network, tensors, dtype, self._placement.device, where=header.path.name)

    def prompts(self, found: FoundParts) -> PromptEncoder:
        clip_tokenizer = Tokenizer.from_folder(found.clip_tokenizer)
        t5_tokenizer = Tokenizer.from_folder(found.t5_tokenizer)
        clip = load_clip_text(found.clip, *self.arguments(found.clip))
        t5 = load_t5_encoder(found.t5, *self.arguments(found.t5))
        _check_vocabulary(clip_tokenizer, clip.config.vocab_size, found.clip_tokenizer, found.clip)
        _check_vocabulary(t5_tokenizer, t5.config.vocab_size, found.t5_tokenizer, found.t5)
        return PromptEncoder(clip, clip_tokenizer, t5, t5_tokenizer)

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
            wanted = self._wanted[part.kind]
        if wanted == "auto":
            wanted = self._placement.dtype
        return compute_type(
            wanted, stored=part.dtype, parameters=part.parameters, device=self._placement.device
        )


def _check_vocabulary(tokenizer: Tokenizer, rows: int, folder: Path, part: Part) -> None:
    if tokenizer.vocabulary_size > rows:
        raise CheckpointError(
            f"The tokenizer in '{folder}' belongs to another text encoder than '{part.header.path.name}'.",
            why=f"It has {tokenizer.vocabulary_size} tokens, the encoder knows {rows}.",
            hint="Put the model's own tokenizers beside it, into tokenizers/clip_l and tokenizers/t5xxl.",
        )
