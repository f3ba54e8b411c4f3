"""An SD3 model from its checkpoint and the parts found for it, with mapped weights."""

from __future__ import annotations

from sfumato.errors import CheckpointError, MissingPart
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, Placement
from sfumato_models_sd.sd3.config import Sd3Config
from sfumato_models_sd.sd3.detection import read_config
from sfumato_models_sd.sd3.latent_space import NAME, latent_format, read_scaling
from sfumato_models_sd.sd3.mmdit import MMDiT
from sfumato_models_sd.sd3.model import Sd3Model
from sfumato_models_sd.sd3.options import Sd3Options
from sfumato_models_sd.sd3.positions import PositionTable
from sfumato_models_sd.sd3.prompts import PromptEncoder
from sfumato_models_sd.sd3.stored_transformer import TRANSFORMER, find_transformer
from sfumato_networks.clip_prompts import ClipPrompts
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER, PartFinder
from sfumato_networks.part_loader import FoundParts, PartLoader, files_of, load_tokenizer
from sfumato_networks.part_loading import load_autoencoder, load_clip_text, load_t5_encoder
from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, CLIP_TEXT, T5_ENCODER, recognise
from sfumato_networks.t5_prompts import T5Prompts

TEXT_ENCODERS = (CLIP_TEXT, CLIP_G_TEXT, T5_ENCODER)


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
    widths = clip_widths(header, config.vector_size)
    found = find_some_parts(info, finder, config, widths)
    loader = PartLoader(library, placement, _wanted_types(info))
    part = stored.info(config)
    transformer = loader.network(header, part, stored.open, lambda: MMDiT(config))
    table = stored.positions(loader.opened(header.path))
    vae = found.parts[AUTOENCODER]
    autoencoder, scaling = load_autoencoder(vae, *loader.arguments(vae)), read_scaling(vae)
    clip_l, clip_g = (_clip(kind, found, loader) for kind in (CLIP_TEXT, CLIP_G_TEXT))
    return Sd3Model(
        info,
        transformer,
        PositionTable(table, config.positions, loader.dtype(part), placement.device),
        autoencoder,
        PromptEncoder(clip_l, clip_g, _t5(found, loader), widths, config.context_size, placement.device),
        latent_format(autoencoder.config, scaling, config.patch),
        scaling,
        files={TRANSFORMER: files_of(header, stored.tensors.values()), **found.files},
    )


def _wanted_types(info: ModelInfo) -> dict[str, str]:
    options = Sd3Options.model_validate(info.options)
    texts = dict.fromkeys(TEXT_ENCODERS, options.text_dtype)
    return {TRANSFORMER: options.transformer_dtype, AUTOENCODER: options.vae_dtype, **texts}


def find_some_parts(
    info: ModelInfo, finder: PartFinder, config: Sd3Config, widths_of_clips: tuple[int, int]
) -> FoundParts:
    """Look for all parts that fit the transformer; of the text encoders there is at least one.

    Raises:
        MissingPart: names all that were not found and without which nothing can be drawn.
    """
    widths = dict(zip((CLIP_TEXT, CLIP_G_TEXT), widths_of_clips, strict=True))
    widths |= {T5_ENCODER: config.context_size, AUTOENCODER: config.out_channels}
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
    return FoundParts(parts, tokenizers)


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


def _clip(kind: str, found: FoundParts, loader: PartLoader) -> ClipPrompts | None:
    part = found.parts.get(kind)
    if part is None:
        return None
    clip = load_clip_text(part, *loader.arguments(part), projected=True)
    tokenizer = load_tokenizer(found.tokenizers[CLIP_TOKENIZER], part, clip.config.vocab_size)
    return ClipPrompts(clip, tokenizer, kind)


def _t5(found: FoundParts, loader: PartLoader) -> T5Prompts | None:
    part = found.parts.get(T5_ENCODER)
    if part is None:
        return None
    t5 = load_t5_encoder(part, *loader.arguments(part))
    return T5Prompts(t5, load_tokenizer(found.tokenizers[T5_TOKENIZER], part, t5.config.vocab_size))
