"""A Stable Diffusion model from its checkpoint and the parts found for it, with mapped weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, PartInfo, Placement, TensorInfo
from sfumato_models_sd.conditioning import PromptEncoder, takes_projection
from sfumato_models_sd.config import UNetConfig
from sfumato_models_sd.detection import is_in_doubt, read_config, read_variant
from sfumato_models_sd.latent_space import latent_format, read_scale
from sfumato_models_sd.model import SdModel
from sfumato_models_sd.options import SdOptions
from sfumato_models_sd.prediction import UNetPrediction
from sfumato_models_sd.stored_unet import UNET, StoredUNet, find_unet
from sfumato_models_sd.unet import UNet
from sfumato_models_sd.variants import Variant
from sfumato_networks.clip_prompts import ClipPrompts
from sfumato_networks.compute_types import compute_type
from sfumato_networks.part_finder import CLIP_TOKENIZER, PartFinder
from sfumato_networks.part_loading import load_autoencoder, load_clip_text
from sfumato_networks.parts import AUTOENCODER, CLIP_KINDS, Part
from sfumato_networks.tokenizer import Tokenizer
from sfumato_networks.weights import build_empty, load_network

LATENT_CHANNELS = 4
_TELLING = "output_blocks.11.1.transformer_blocks.0.norm1.bias"
"""A tensor whose spread tells eps from v among models made from SD 2; ComfyUI looks at it."""
_SPREAD_OF_V = 0.09


@dataclass(frozen=True)
class FoundParts:
    """Where everything besides the UNet is; text encoders in the order in which their states are joined."""

    autoencoder: Part
    texts: tuple[Part, ...]
    tokenizer: Path

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """The files that hold them, by kind; a tokenizer's are all in its folder."""
        folder = tuple(sorted(path for path in self.tokenizer.iterdir() if path.is_file()))
        parts = (*self.texts, self.autoencoder)
        return {part.kind: files_of(part.header, part.stored.values()) for part in parts} | {
            CLIP_TOKENIZER: folder
        }


def load(info: ModelInfo, library: ModelLibrary, placement: Placement) -> SdModel:
    """Build the model.

    Compute types come from `placement.part_dtypes`, then `info.options`, then `placement.dtype`.

    Raises:
        MissingPart: names every part that was not found.
        CheckpointError: a part's weights or tokenizer do not fit.
        BadInput: a part that was asked for is none.
    """
    header = library.header(info.path)
    stored = find_unet(header)
    if stored is None:
        raise CheckpointError(f"'{info.path.name}' holds no UNet.", hint="Detect the file again.")
    config = read_config(header, stored)
    variant = read_variant(header, config)
    finder = PartFinder(header, library, latents=variant.latents, wished=placement.part_files)
    found = find_parts(info, finder, variant)
    loader = _Loader(info, library, placement)
    unet = loader.unet(header, stored, config)
    if is_in_doubt(header, variant, config):
        info = info.model_copy(update={"prediction": prediction_by_weights(unet)})
    autoencoder = load_autoencoder(found.autoencoder, *loader.arguments(found.autoencoder))
    return SdModel(
        info,
        variant,
        unet,
        autoencoder,
        loader.prompts(found, variant),
        latent_format(variant.latents, autoencoder.config),
        read_scale(found.autoencoder, header.metadata, variant.latents),
        files={UNET: files_of(header, stored.tensors.values()), **found.files},
    )


def files_of(header: CheckpointHeader, tensors: Iterable[TensorInfo]) -> tuple[Path, ...]:
    """The files that hold these tensors of a checkpoint."""
    return tuple(sorted({info.file or header.path for info in tensors}))


def find_parts(info: ModelInfo, finder: PartFinder, variant: Variant) -> FoundParts:
    """Look for all parts that fit the UNet; raises `MissingPart` naming all that were not found."""
    widths = {**variant.texts, AUTOENCODER: LATENT_CHANNELS}
    parts = {kind: part for kind, width in widths.items() if (part := finder.find(kind, width))}
    tokenizer = finder.find_tokenizer(CLIP_TOKENIZER)
    missing = [kind for kind in widths if kind not in parts]
    if missing or tokenizer is None:
        raise finder.missing(info.name, missing or [CLIP_TOKENIZER])
    return FoundParts(parts[AUTOENCODER], tuple(parts[kind] for kind in variant.texts), tokenizer)


def prediction_by_weights(unet: UNet) -> UNetPrediction:
    """Eps or v, told by how far one norm's biases are spread; of cut-down models, eps."""
    biases = dict(unet.named_parameters()).get(_TELLING)
    return "v" if biases is not None and float(biases.float().std(correction=0)) > _SPREAD_OF_V else "eps"


class _Loader:
    """Makes networks of parts, each file opened once."""

    def __init__(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> None:
        self._library = library
        self._placement = placement
        self._opened: dict[Path, Mapping[str, Tensor]] = {}
        options = SdOptions.model_validate(info.options)
        self._wanted: dict[str, str] = {UNET: options.unet_dtype, AUTOENCODER: options.vae_dtype}
        self._wanted |= dict.fromkeys(CLIP_KINDS, options.text_dtype)

    def unet(self, header: CheckpointHeader, stored: StoredUNet, config: UNetConfig) -> UNet:
        tensors = stored.open(self._open(header.path))
        dtype = self._dtype(stored.info(config))
        network = build_empty(lambda: UNet(config))
        return load_network(network, tensors, dtype, self._placement.device, where=header.path.name)

    def prompts(self, found: FoundParts, variant: Variant) -> PromptEncoder:
        tokenizer = Tokenizer.from_folder(found.tokenizer)
        texts = []
        for part in found.texts:
            clip = load_clip_text(part, *self.arguments(part), projected=takes_projection(part.kind))
            _check_vocabulary(tokenizer, clip.config.vocab_size, found.tokenizer, part)
            texts.append(ClipPrompts(clip, tokenizer, part.kind))
        return PromptEncoder(variant, tuple(texts))

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
            hint="Put the model's own tokenizer beside it, into tokenizers/clip_l.",
        )
