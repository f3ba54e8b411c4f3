"""Where a model is, and where what is written of it goes. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from sfumato.errors import BadInput, CheckpointError, UnknownName
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader
from sfumato_networks.parts import AUTOENCODER
from sfumato_quant_gguf.writing.contents import ALL, DIFFUSION_MODELS, Content

SUFFIX = ".gguf"


def locate(library: ModelLibrary, model: str) -> Path:
    """The file or folder of a model, text encoder or autoencoder, by name or path.

    Raises:
        BadInput: it has no name.
        UnknownName: there is none.
    """
    if not model:
        raise BadInput("No model is named.", hint="'sfumato models' lists them; a path works too.")
    try:
        return library.find(model).path
    except UnknownName:
        for folder in ("text_encoders", "vae"):
            for file in library.files(folder):
                if model in (file.stem, file.name):
                    return file
        raise
    except CheckpointError:
        path = Path(model).expanduser()
        if path.exists():  # a part is no model
            return path
        raise


def stem(header: CheckpointHeader) -> str:
    """What a model is called by its path."""
    return header.path.name if header.layout == "diffusers_folder" else header.path.stem


def output_path(
    library: ModelLibrary, model: str, content: Content, preset_name: str, wished: Path | None
) -> Path:
    """The file to write: beside the model, but a part among the parts of its model folder.

    A model that a plugin brings has its file in the first model folder, not among the plugin's own.

    Args:
        model: As it was asked for.
        wished: A file, or the folder for it.

    Raises:
        BadInput: a file is wished for whose ending is not that of GGUF.
    """
    name = f"{_stem_of_part(content)}-{preset_name.upper()}{SUFFIX}"
    if wished is None:
        return _folder(library, model, content) / name
    wished = wished.expanduser()
    if wished.is_dir():
        return wished / name
    if wished.suffix.lower() != SUFFIX:
        raise BadInput(
            f"'{wished.name}' is no name for a GGUF file.",
            hint=f"Let it end in '{SUFFIX}', or name a folder.",
        )
    return wished


def _stem_of_part(content: Content) -> str:
    name = stem(content.header)
    told = content.kind in (*DIFFUSION_MODELS, ALL) or name.lower().startswith(("t5", "clip", "ae", "vae"))
    return name if told else f"{name}-{content.kind}"


def _folder(library: ModelLibrary, model: str, content: Content) -> Path:
    path = content.header.path
    kind = _kind_of_folder(content)
    root = next((root for root in library.roots if path.is_relative_to(root)), None)
    of_a_plugin = root is None and not Path(model).expanduser().exists()
    if of_a_plugin and library.roots:
        root = library.roots[0]
    elif root is None or kind in ("checkpoints", "diffusion_models"):
        return path.parent
    known = [folder for folder in library.folders(kind) if folder.is_relative_to(root)]
    if any(path.is_relative_to(folder) for folder in known):
        return path.parent
    return known[0] if known else root / kind


def _kind_of_folder(content: Content) -> str:
    if content.kind in DIFFUSION_MODELS:
        return "diffusion_models"
    if content.kind == ALL:
        return "checkpoints"
    return "vae" if content.kind == AUTOENCODER else "text_encoders"
