"""A Stable Diffusion model from its checkpoint and the parts found for it, with mapped weights."""

from __future__ import annotations

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import ModelInfo, Placement
from sfumato_models_sd.conditioning import PromptEncoder, takes_projection
from sfumato_models_sd.detection import is_in_doubt, read_config, read_variant
from sfumato_models_sd.latent_space import latent_format, read_scale
from sfumato_models_sd.model import SdModel
from sfumato_models_sd.options import SdOptions
from sfumato_models_sd.prediction import UNetPrediction
from sfumato_models_sd.stored_unet import UNET, find_unet
from sfumato_models_sd.unet import UNet
from sfumato_networks.clip_prompts import ClipPrompts
from sfumato_networks.part_finder import CLIP_TOKENIZER, PartFinder
from sfumato_networks.part_loader import FoundParts, PartLoader, files_of, find_parts, load_tokenizer
from sfumato_networks.part_loading import load_autoencoder, load_clip_text
from sfumato_networks.parts import AUTOENCODER, CLIP_KINDS

LATENT_CHANNELS = 4
_TELLING = "output_blocks.11.1.transformer_blocks.0.norm1.bias"
"""A tensor whose spread tells eps from v among models made from SD 2; ComfyUI looks at it."""
_SPREAD_OF_V = 0.09


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
    widths = {**variant.texts, AUTOENCODER: LATENT_CHANNELS}
    found = find_parts(info, finder, widths, {CLIP_TOKENIZER: None})
    loader = PartLoader(library, placement, _wanted_types(info), fits_float16=[UNET])
    unet = loader.network(header, stored.info(config), stored.open, lambda: UNet(config))
    if is_in_doubt(header, variant, config):
        info = info.model_copy(update={"prediction": prediction_by_weights(unet)})
    vae = found.parts[AUTOENCODER]
    autoencoder = load_autoencoder(vae, *loader.arguments(vae))
    return SdModel(
        info,
        variant,
        unet,
        autoencoder,
        PromptEncoder(variant, tuple(_prompts(kind, found, loader) for kind in variant.texts)),
        latent_format(variant.latents, autoencoder.config),
        read_scale(vae, header.metadata, variant.latents),
        files={UNET: files_of(header, stored.tensors.values()), **found.files},
    )


def _wanted_types(info: ModelInfo) -> dict[str, str]:
    options = SdOptions.model_validate(info.options)
    texts = dict.fromkeys(CLIP_KINDS, options.text_dtype)
    return {UNET: options.unet_dtype, AUTOENCODER: options.vae_dtype, **texts}


def _prompts(kind: str, found: FoundParts, loader: PartLoader) -> ClipPrompts:
    part = found.parts[kind]
    clip = load_clip_text(part, *loader.arguments(part), projected=takes_projection(kind))
    tokenizer = load_tokenizer(found.tokenizers[CLIP_TOKENIZER], part, clip.config.vocab_size)
    return ClipPrompts(clip, tokenizer, kind)


def prediction_by_weights(unet: UNet) -> UNetPrediction:
    """Eps or v, told by how far one norm's biases are spread; of cut-down models, eps."""
    biases = dict(unet.named_parameters()).get(_TELLING)
    return "v" if biases is not None and float(biases.float().std(correction=0)) > _SPREAD_OF_V else "eps"
