"""A folder loaded by diffusers' own pipeline, with the parts that are wished for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import BadInput, CheckpointError, MissingPart
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo, Placement
from sfumato_models_diffusers.detection import KINDS, TEXT_ENCODER, TRANSFORMER
from sfumato_models_diffusers.library_diffusers import import_diffusers, without_progress_bars
from sfumato_models_diffusers.model import DiffusersModel
from sfumato_models_diffusers.options import DiffusersOptions
from sfumato_models_diffusers.recipes import Recipe, recipe_for
from sfumato_networks.compute_types import compute_type
from sfumato_networks.parts import AUTOENCODER, under

_TOKENIZER = "tokenizer"
_VARIANT = re.compile(r"[^.]+\.(\w+?)(-\d+-of-\d+)?\.safetensors")


def load(info: ModelInfo, library: ModelLibrary, placement: Placement) -> DiffusersModel:
    """Load the folder with diffusers, which maps its weights.

    Compute types come from `placement.part_dtypes`, then `info.options`, then `placement.dtype`.

    Raises:
        SfumatoError: the library diffusers is not installed.
        MissingPart: names the parts that are not there.
        BadInput: a file wished for does not hold the part.
        CheckpointError: diffusers could not load the folder.
    """
    header = library.header(info.path)
    recipe = recipe_for(header.configs)
    if recipe is None:
        raise CheckpointError(f"No recipe knows the model in '{info.path}'.", hint="Detect the folder again.")
    _check_complete(info, header)
    diffusers = import_diffusers()
    files = _files(header)
    variant = _variant([file.name for kind in KINDS.values() for file in files[kind]])
    pipeline = _open(diffusers, recipe, info, _types(info, placement), variant)
    for folder, kind in KINDS.items():
        if kind in placement.part_files:
            files[kind] = (placement.part_files[kind],)
            _replace_weights(getattr(pipeline, folder), kind, placement.part_files[kind], library)
    for folder in KINDS:
        getattr(pipeline, folder).requires_grad_(False).eval()
    pipeline.to(placement.device)
    return DiffusersModel(info, pipeline, recipe, placement.device, files)


def _check_complete(info: ModelInfo, header: CheckpointHeader) -> None:
    held = {name.partition("/")[0] for name in header.tensors}
    missing = [folder for folder in KINDS if folder not in held]
    if not (header.path / _TOKENIZER).is_dir():
        missing.append(_TOKENIZER)
    if missing:
        raise MissingPart(
            f"'{info.name}' needs {' and '.join(f'{folder}/' for folder in missing)}.",
            why="A diffusers folder holds all parts of its model.",
            hint=f"Download the missing folders of the same model -> {header.path}",
        )


def _types(info: ModelInfo, placement: Placement) -> dict[str, torch.dtype]:
    """The type each part computes in, by the folder's names for them."""
    options = DiffusersOptions.model_validate(info.options)
    preferred = {
        TRANSFORMER: options.transformer_dtype,
        TEXT_ENCODER: options.text_dtype,
        AUTOENCODER: options.vae_dtype,
    }
    folders = {kind: folder for folder, kind in KINDS.items()}
    types = {}
    for part in info.parts:
        choices = (placement.part_dtypes.get(part.kind, "auto"), preferred[part.kind], placement.dtype)
        wanted = next((choice for choice in choices if choice != "auto"), "auto")
        types[folders[part.kind]] = compute_type(
            wanted, stored=part.dtype, parameters=part.parameters, device=placement.device
        )
    return types


def _variant(names: Iterable[str]) -> str | None:
    """The first variant ("fp16", "bf16") among files; diffusers takes plain ones for parts without it."""
    return next((match[1] for name in names if (match := _VARIANT.fullmatch(name))), None)


def _open(
    diffusers: Any, recipe: Recipe, info: ModelInfo, types: Mapping[str, torch.dtype], variant: str | None
) -> Any:
    pipeline = getattr(diffusers, recipe.pipeline_class, None)
    if pipeline is None:
        raise CheckpointError(
            f"'{info.name}' is {recipe.label}, which diffusers {diffusers.__version__} does not know.",
            hint="Install a newer one: pip install --upgrade diffusers",
        )
    try:
        with without_progress_bars():
            return pipeline.from_pretrained(
                str(info.path),
                variant=variant,
                dtype=dict(types),
                local_files_only=True,
                use_safetensors=True,
            )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError, ImportError) as error:
        raise CheckpointError(
            f"diffusers could not load '{info.name}'.",
            why=f"{type(error).__name__}: {' '.join(str(error).split())[:500]}.",
            hint="Download the folder again, or install the versions that its model page names.",
        ) from error


def _files(header: CheckpointHeader) -> dict[str, tuple[Path, ...]]:
    """The files each part is read from, by kind; the tokenizer's are all in its folder."""
    files = {
        kind: tuple(
            sorted({info.file or header.path for info in under(f"{folder}/", header.tensors).values()})
        )
        for folder, kind in KINDS.items()
    }
    folder = header.path / _TOKENIZER
    return files | {_TOKENIZER: tuple(sorted(path for path in folder.iterdir() if path.is_file()))}


def _replace_weights(network: torch.nn.Module, kind: str, file: Path, library: ModelLibrary) -> None:
    """Take a part's weights from another file with the same tensors."""
    tensors, weights = library.open_tensors(file), network.state_dict()
    unfit = [
        name for name, weight in weights.items() if name not in tensors or tensors[name].shape != weight.shape
    ]
    if unfit:
        raise BadInput(
            f"'{file.name}' cannot be taken as the {kind.replace('_', ' ')} of this model.",
            why=f"{len(unfit)} of {len(weights)} tensors are not there or of another shape: {unfit[0]} ...",
            hint="Choose a file with the tensors that diffusers has, or none.",
        )
    network.load_state_dict({name: tensors[name] for name in weights})
