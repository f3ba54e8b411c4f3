"""A Chroma model from its checkpoint and the parts found for it, with mapped weights."""

from __future__ import annotations

from pathlib import Path

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, Placement
from sfumato_models_flux.chroma.config import expected_shapes
from sfumato_models_flux.chroma.detection import TOKENIZER_FOLDER, find_chroma, read_config
from sfumato_models_flux.chroma.model import ChromaModel
from sfumato_models_flux.chroma.options import ChromaOptions
from sfumato_models_flux.chroma.transformer import ChromaTransformer
from sfumato_models_flux.latent_space import NAME, latent_format, read_scaling
from sfumato_models_flux.stored_transformer import TRANSFORMER
from sfumato_networks.part_finder import T5_TOKENIZER, PartFinder
from sfumato_networks.part_loader import PartLoader, files_of, find_parts, load_tokenizer
from sfumato_networks.part_loading import load_autoencoder, load_t5_encoder
from sfumato_networks.parts import AUTOENCODER, T5_ENCODER
from sfumato_networks.t5_prompts import T5Prompts
from sfumato_networks.tokenizer import holds_tokenizer


def load(info: ModelInfo, library: ModelLibrary, placement: Placement) -> ChromaModel:
    """Build the model; its options say in which types its parts compute where the placement does not.

    Raises:
        MissingPart: names every part that was not found.
        BadInput: a part that the placement names is none.
        CheckpointError: a part's weights or tokenizer do not fit.
    """
    header = library.header(info.path)
    stored = find_chroma(header)
    if stored is None:
        raise CheckpointError(
            f"'{info.path.name}' holds no Chroma transformer.", hint="Detect the file again."
        )
    config = read_config(header, stored)
    widths = {AUTOENCODER: config.out_channels // 4, T5_ENCODER: config.context_size}
    finder = PartFinder(header, library, latents=NAME, wished=placement.part_files)
    found = find_parts(info, finder, widths, {T5_TOKENIZER: _own_tokenizer(header, placement)})
    loader = PartLoader(library, placement, _wanted_types(info))
    part = stored.info(expected_shapes(config))
    transformer = loader.network(header, part, stored.open, lambda: ChromaTransformer(config))
    vae_part, t5_part = found.parts[AUTOENCODER], found.parts[T5_ENCODER]
    autoencoder = load_autoencoder(vae_part, *loader.arguments(vae_part))
    t5 = load_t5_encoder(t5_part, *loader.arguments(t5_part))
    tokenizer = load_tokenizer(found.tokenizers[T5_TOKENIZER], t5_part, t5.config.vocab_size)
    return ChromaModel(
        info,
        transformer,
        autoencoder,
        T5Prompts(t5, tokenizer),
        latent_format(vae_part, autoencoder.config, header.metadata),
        read_scaling(vae_part, header.metadata),
        files={TRANSFORMER: files_of(header, stored.tensors.values()), **found.files},
    )


def _own_tokenizer(header: CheckpointHeader, placement: Placement) -> Path | None:
    """The one in a diffusers folder, unless another is wished for."""
    folder = header.path / TOKENIZER_FOLDER
    return folder if T5_TOKENIZER not in placement.part_files and holds_tokenizer(folder) else None


def _wanted_types(info: ModelInfo) -> dict[str, str]:
    options = ChromaOptions.model_validate(info.options)
    return {
        TRANSFORMER: options.transformer_dtype,
        T5_ENCODER: options.text_dtype,
        AUTOENCODER: options.vae_dtype,
    }
