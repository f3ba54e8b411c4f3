"""A Flux model from its checkpoint and the parts found for it, with mapped weights."""

from __future__ import annotations

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import ModelInfo, Placement
from sfumato_models_flux.config import expected_shapes
from sfumato_models_flux.detection import read_config
from sfumato_models_flux.latent_space import NAME, latent_format, read_scaling
from sfumato_models_flux.model import FluxModel
from sfumato_models_flux.options import FluxOptions
from sfumato_models_flux.prompts import PromptEncoder
from sfumato_models_flux.stored_transformer import TRANSFORMER, find_transformer
from sfumato_models_flux.transformer import FluxTransformer
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER, PartFinder
from sfumato_networks.part_loader import FoundParts, PartLoader, files_of, find_parts, load_tokenizer
from sfumato_networks.part_loading import load_autoencoder, load_clip_text, load_t5_encoder
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER


def load(info: ModelInfo, library: ModelLibrary, placement: Placement) -> FluxModel:
    """Build the model; its options say in which types its parts compute where the placement does not.

    Raises:
        MissingPart: names every part that was not found.
        BadInput: a part that the placement names is none.
        CheckpointError: a part's weights or tokenizer do not fit.
    """
    header = library.header(info.path)
    stored = find_transformer(header)
    if stored is None:
        raise CheckpointError(f"'{info.path.name}' holds no Flux transformer.", hint="Detect the file again.")
    config = read_config(header, stored)
    widths = {
        AUTOENCODER: config.out_channels // 4,
        CLIP_TEXT: config.vector_size,
        T5_ENCODER: config.context_size,
    }
    finder = PartFinder(header, library, latents=NAME, wished=placement.part_files)
    found = find_parts(info, finder, widths, dict.fromkeys((CLIP_TOKENIZER, T5_TOKENIZER)))
    loader = PartLoader(library, placement, _wanted_types(info))
    part = stored.info(expected_shapes(config))
    transformer = loader.network(header, part, stored.open, lambda: FluxTransformer(config))
    vae = found.parts[AUTOENCODER]
    autoencoder = load_autoencoder(vae, *loader.arguments(vae))
    return FluxModel(
        info,
        transformer,
        autoencoder,
        _load_prompts(found, loader),
        latent_format(vae, autoencoder.config, header.metadata),
        read_scaling(vae, header.metadata),
        files={TRANSFORMER: files_of(header, stored.tensors.values()), **found.files},
    )


def _wanted_types(info: ModelInfo) -> dict[str, str]:
    options = FluxOptions.model_validate(info.options)
    return {
        TRANSFORMER: options.transformer_dtype,
        CLIP_TEXT: options.text_dtype,
        T5_ENCODER: options.text_dtype,
        AUTOENCODER: options.vae_dtype,
    }


def _load_prompts(found: FoundParts, loader: PartLoader) -> PromptEncoder:
    clip_part, t5_part = found.parts[CLIP_TEXT], found.parts[T5_ENCODER]
    clip = load_clip_text(clip_part, *loader.arguments(clip_part))
    t5 = load_t5_encoder(t5_part, *loader.arguments(t5_part))
    return PromptEncoder(
        clip,
        load_tokenizer(found.tokenizers[CLIP_TOKENIZER], clip_part, clip.config.vocab_size),
        t5,
        load_tokenizer(found.tokenizers[T5_TOKENIZER], t5_part, t5.config.vocab_size),
    )
