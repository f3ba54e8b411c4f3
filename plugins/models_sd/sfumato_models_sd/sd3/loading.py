"""An SD3 model from its checkpoint and the parts found for it, with mapped weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import CheckpointError, MissingPart
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, PartInfo, Placement, TensorInfo
from sfumato_models_sd.sd3.config import Sd3Config
from sfumato_models_sd.sd3.detection import read_config
from sfumato_models_sd.sd3.latent_space import NAME, latent_format, read_scaling
from sfumato_models_sd.sd3.mmdit import MMDiT
from sfumato_models_sd.sd3.model import Sd3Model
from sfumato_models_sd.sd3.options import Sd3Options
from sfumato_models_sd.sd3.positions import PositionTable
from sfumato_models_sd.sd3.prompts import PromptEncoder
from sfumato_models_sd.sd3.stored_transformer import TRANSFORMER, StoredTransformer, find_transformer
from sfumato_networks.clip_prompts import ClipPrompts
from sfumato_networks.compute_types import compute_type
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER, PartFinder
from sfumato_networks.part_loading import load_autoencoder, load_clip_text, load_t5_encoder
from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, CLIP_TEXT, T5_ENCODER, Part, recognise
from sfumato_networks.t5_prompts import T5Prompts
from sfumato_networks.tokenizer import Tokenizer
from sfumato_networks.weights import build_empty, load_network

TEXT_ENCODERS = (CLIP_TEXT, CLIP_G_TEXT, T5_ENCODER)


@dataclass(frozen=True)
class FoundParts:
    """Where everything besides the transformer is, by kind; of the text encoders there is at least one.

    Attributes:
        clip_widths: Features of CLIP-L and of CLIP-G, whether they were found or not.
    """

    parts: Mapping[str, Part]
    tokenizers: Mapping[str, Path]
    clip_widths: tuple[int, int]

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """The files that hold them, by kind; a tokenizer's are all in its folder."""
        return {kind: files_of(part.header, part.stored.values()) for kind, part in self.parts.items()} | {
            kind: tuple(sorted(path for path in folder.iterdir() if path.is_file()))
            for kind, folder in self.tokenizers.items()
        }


def load(info: ModelInfo, library: ModelLibrary, placement: Placement) -> Sd3Model:
    """Build the model.

    Compute types come from `placement.part_dtypes`, then `info.options`, then `placement.dtype`.

    Raises:
        MissingPart: the autoencoder, a tokenizer or all text encoders were not found; each is named.
        CheckpointError: a part's weights or tokenizer do not fit.
        BadInput: a part that was wished for does not fit.
    """
    header = library.header(info.path)
    stored = find_transformer(header)
    if stored is None:
        raise CheckpointError(f"'{info.path.name}' holds no SD3 transformer.", hint="Detect the file again.")
    config = read_config(header, stored)
    finder = PartFinder(header, library, latents=NAME, wished=placement.part_files)
    found = find_parts(info, finder, config)
    loader = _Loader(info, library, placement)
    transformer, positions = loader.transformer(header, stored, config)
    vae = found.parts[AUTOENCODER]
    autoencoder, scaling = load_autoencoder(vae, *loader.arguments(vae)), read_scaling(vae)
    return Sd3Model(
        info,
        transformer,
        positions,
        autoencoder,
        loader.prompts(found, config),
        latent_format(autoencoder.config, scaling, config.patch),
        scaling,
        files={TRANSFORMER: files_of(header, stored.tensors.values()), **found.files},
    )


def files_of(header: CheckpointHeader, tensors: Iterable[TensorInfo]) -> tuple[Path, ...]:
    """The files that hold these tensors of a checkpoint."""
    return tuple(sorted({info.file or header.path for info in tensors}))


def find_parts(info: ModelInfo, finder: PartFinder, config: Sd3Config) -> FoundParts:
    """Look for all parts that fit the transformer.

    Raises:
        MissingPart: names all that were not found and without which nothing can be drawn.
    """
    clip_l, clip_g = clip_widths(finder.header, config.vector_size)
    widths = {CLIP_TEXT: clip_l, CLIP_G_TEXT: clip_g, T5_ENCODER: config.context_size}
    widths[AUTOENCODER] = config.out_channels
    parts = {kind: part for kind, width in widths.items() if (part := finder.find(kind, width))}
    needed = {CLIP_TOKENIZER: {CLIP_TEXT, CLIP_G_TEXT}, T5_TOKENIZER: {T5_ENCODER}}
    wanted = [kind for kind, readers in needed.items() if readers & parts.keys()]
    tokenizers = {kind: folder for kind in wanted if (folder := finder.find_tokenizer(kind))}
    missing = [kind for kind in (AUTOENCODER, *wanted) if kind not in {**parts, **tokenizers}]
    without_text = not parts.keys() & set(TEXT_ENCODERS)
    if missing or without_text:
        error = finder.missing(info.name, [*missing, *(TEXT_ENCODERS if without_text else ())])
        enough = "\nOne of the text encoders is enough, all three draw best." if without_text else ""
        raise MissingPart(error.what, why=error.why, hint=error.hint + enough)
    return FoundParts(parts, tokenizers, (clip_l, clip_g))


def clip_widths(header: CheckpointHeader, vector_size: int) -> tuple[int, int]:
    """Features of CLIP-L and CLIP-G, whose pooled states together are the vector.

    One that lies in the checkpoint tells both; otherwise they are shared out as 768 and 1280 of 2048.
    """
    held = {part.kind: part.width for part in recognise(header)}
    if CLIP_TEXT in held:
        clip_l = held[CLIP_TEXT]
    elif CLIP_G_TEXT in held:
        clip_l = vector_size - held[CLIP_G_TEXT]
    else:
        clip_l = 3 * vector_size // 8
    return clip_l, vector_size - clip_l


class _Loader:
    """Makes networks of parts, each file opened once."""

    def __init__(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> None:
        self._library = library
        self._placement = placement
        self._opened: dict[Path, Mapping[str, Tensor]] = {}
        options = Sd3Options.model_validate(info.options)
        self._wanted = dict.fromkeys(TEXT_ENCODERS, options.text_dtype)
        self._wanted |= {TRANSFORMER: options.transformer_dtype, AUTOENCODER: options.vae_dtype}

    def transformer(
        self, header: CheckpointHeader, stored: StoredTransformer, config: Sd3Config
    ) -> tuple[MMDiT, PositionTable]:
        opened, dtype = self._open(header.path), self._dtype(stored.info(config))
        device, where = self._placement.device, header.path.name
        network = build_empty(lambda: MMDiT(config))
        network = load_network(network, stored.open(opened), dtype, device, where=where)
        return network, PositionTable(stored.positions(opened), config.positions, dtype, device)

    def prompts(self, found: FoundParts, config: Sd3Config) -> PromptEncoder:
        return PromptEncoder(
            self._clip(CLIP_TEXT, found),
            self._clip(CLIP_G_TEXT, found),
            self._t5(found),
            found.clip_widths,
            config.context_size,
            self._placement.device,
        )

    def _clip(self, kind: str, found: FoundParts) -> ClipPrompts | None:
        part = found.parts.get(kind)
        if part is None:
            return None
        clip = load_clip_text(part, *self.arguments(part), projected=True)
        folder = found.tokenizers[CLIP_TOKENIZER]
        return ClipPrompts(clip, _tokenizer(folder, clip.config.vocab_size, part), kind)

    def _t5(self, found: FoundParts) -> T5Prompts | None:
        part = found.parts.get(T5_ENCODER)
        if part is None:
            return None
        t5 = load_t5_encoder(part, *self.arguments(part))
        folder = found.tokenizers[T5_TOKENIZER]
        return T5Prompts(t5, _tokenizer(folder, t5.config.vocab_size, part))

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


def _tokenizer(folder: Path, rows: int, part: Part) -> Tokenizer:
    """Raises `CheckpointError` where it has more tokens than the encoder has rows."""
    tokenizer = Tokenizer.from_folder(folder)
    if tokenizer.vocabulary_size > rows:
        raise CheckpointError(
            f"The tokenizer in '{folder}' belongs to another text encoder than '{part.header.path.name}'.",
            why=f"It has {tokenizer.vocabulary_size} tokens, the encoder knows {rows}.",
            hint="Put the model's own tokenizers beside it, into tokenizers/clip_l and tokenizers/t5xxl.",
        )
    return tokenizer
