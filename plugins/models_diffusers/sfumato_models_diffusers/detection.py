"""What a diffusers folder is, from its configs and headers alone. Imports neither torch nor diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, ModelInfo, PartInfo
from sfumato_models_diffusers.recipes import Recipe, recipe_for
from sfumato_networks.parts import AUTOENCODER, part_info, under
from sfumato_networks.quantised_storage import refuse_quantised

TRANSFORMER = "transformer"
TEXT_ENCODER = "text_encoder"
KINDS: Mapping[str, str] = {TRANSFORMER: TRANSFORMER, TEXT_ENCODER: TEXT_ENCODER, "vae": AUTOENCODER}
"""Kinds of parts by the folder's own names for them."""

_GET_AGAIN = "Download the folder again."


def detect(header: CheckpointHeader) -> ModelInfo | None:
    """The model in a diffusers folder, or None when there is no recipe for it.

    Raises:
        CheckpointError: there is one, but its weights cannot be right or are quantised.
    """
    recipe = recipe_for(header.configs) if header.layout == "diffusers_folder" else None
    if recipe is None:
        return None
    parts = parts_of(header)
    if not parts:
        return None
    _check(header, recipe)
    return ModelInfo(
        name=header.path.name,
        family="diffusers",
        variant=recipe.name,
        label=recipe.label,
        path=header.path,
        layout=header.layout,
        format=header.format,
        prediction="flow",
        sizes=_sizes(header.configs[TRANSFORMER]),
        parts=parts,
        missing_parts=tuple(kind for kind in KINDS.values() if kind not in {part.kind for part in parts}),
        defaults=recipe.defaults(header.configs),
        ignores=("clip_skip", "tiling"),
        metadata=dict(header.metadata),
    )


def parts_of(header: CheckpointHeader) -> tuple[PartInfo, ...]:
    """The parts whose weights the folder holds."""
    stored = {kind: (f"{folder}/", under(f"{folder}/", header.tensors)) for folder, kind in KINDS.items()}
    return tuple(
        part_info(kind, prefix, tensors.values()) for kind, (prefix, tensors) in stored.items() if tensors
    )


def _check(header: CheckpointHeader, recipe: Recipe) -> None:
    refuse_quantised(header.tensors, header.path.name)
    for name, info in header.tensors.items():
        if not all(info.shape):
            raise CheckpointError(
                f"'{header.path.name}' cannot be right: tensor '{name}' is empty.", hint=_GET_AGAIN
            )
    stored = under(f"{TRANSFORMER}/", header.tensors)
    if not stored:
        return
    for name, width in _expected_widths(header, recipe).items():
        if name not in stored:
            raise CheckpointError(
                f"'{header.path.name}' is an incomplete {recipe.label}.",
                why=f"Its transformer lacks {name}.",
                hint=_GET_AGAIN,
            )
        if stored[name].shape[:1] != (width,):
            raise CheckpointError(
                f"'{header.path.name}' does not fit together: tensor 'transformer/{name}' has a wrong shape.",
                why=f"It has {list(stored[name].shape)}; transformer/config.json speaks of {width} outputs.",
                hint=_GET_AGAIN,
            )


def _expected_widths(header: CheckpointHeader, recipe: Recipe) -> Mapping[str, int]:
    try:
        return recipe.widths(header.configs[TRANSFORMER])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"'{header.path.name}' has an unusable transformer/config.json.",
            why=f"What it should say of the sizes is missing or no number: {error}.",
            hint=_GET_AGAIN,
        ) from error


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not name.startswith("_")}
