"""What an adapter's file says of itself, from its header alone. Imports no torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sfumato.models import CheckpointHeader
from sfumato_adapters.families import made_for
from sfumato_adapters.file_checks import check_file
from sfumato_adapters.kinds import kinds_of, names_of_kinds
from sfumato_adapters.kinds.delta import Shape
from sfumato_adapters.layouts import Section, layer_shapes, layout_of, read_names

_TITLES = ("modelspec.title", "ss_output_name")
_BASE_MODELS = ("ss_sd_model_name", "ss_base_model_version", "modelspec.architecture")
_TRIGGERS = ("modelspec.trigger_phrase", "trigger_words", "ss_trigger_words", "activation text")
_TAGS = "ss_tag_frequency"
_PLAIN_TEXT = "modelspec."


class AdapterDescription(BaseModel):
    """An adapter as its header shows it."""

    model_config = ConfigDict(frozen=True)

    path: Path
    title: str = ""
    made_for: str = Field(default="", description="The family of models it was made for.")
    base_model: str = Field(default="", description="The model it was trained on, as the trainer called it.")
    layout: str = Field(default="", description="Whose naming the tensors follow.")
    kinds: tuple[str, ...] = ()
    ranks: Mapping[int, int] = Field(default_factory=dict, description="How many layers have each rank.")
    layers: Mapping[str, int] = Field(default_factory=dict, description="How many layers, by network.")
    tensors: int = Field(default=0, ge=0)
    unknown: tuple[str, ...] = Field(default=(), description="Tensors whose meaning is not known.")
    trigger_words: tuple[str, ...] = Field(default=(), description="What brings it out in a prompt.")
    tags: Mapping[str, int] = Field(
        default_factory=dict,
        description="How often each tag stood at a training picture, the commonest first.",
    )
    about: Mapping[str, str] = Field(default_factory=dict, description="What `modelspec` says, by field.")


def describe(header: CheckpointHeader) -> AdapterDescription:
    """What can be told without a model, and without reading a weight.

    Raises:
        CheckpointError: the file is a pickle, or empty.
    """
    check_file(header.path, header.tensors)
    named = read_names(header.tensors)
    shapes = layer_shapes(named, header.shapes)
    known = [layer for layer in named.layers if kinds_of(shapes[layer.stem])]
    metadata = header.metadata
    return AdapterDescription(
        path=header.path,
        title=_first(metadata, _TITLES),
        made_for=made_for(shapes, metadata),
        base_model=_first(metadata, _BASE_MODELS),
        layout=layout_of(named),
        kinds=names_of_kinds(shapes),
        ranks=_ranks(shapes),
        layers=dict(Counter(_network(layer.name.section) for layer in known)),
        tensors=len(header.tensors),
        unknown=named.unknown,
        trigger_words=_trigger_words(metadata),
        tags=_tags(metadata),
        about={
            name.removeprefix(_PLAIN_TEXT): text
            for name, text in metadata.items()
            if name.startswith(_PLAIN_TEXT) and not text.startswith("data:")
        },
    )


def _first(metadata: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := metadata.get(name, "").strip())), "")


def _ranks(layers: Mapping[str, Mapping[str, Shape]]) -> dict[int, int]:
    found = (kind.rank(shapes) for shapes in layers.values() for kind in kinds_of(shapes))
    counted = Counter(rank for rank in found if rank is not None)
    return dict(sorted(counted.items()))


def _network(section: Section) -> str:
    return "text encoder" if section.name.startswith("TEXT") else "diffusion"


def _trigger_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    words = (word.strip() for name in _TRIGGERS for word in metadata.get(name, "").split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _tags(metadata: Mapping[str, str]) -> dict[str, int]:
    """The tags of all data sets together; empty where the trainer wrote none that can be read."""
    try:
        stored: Any = json.loads(metadata.get(_TAGS, "{}"))
    except ValueError:
        return {}
    counted: Counter[str] = Counter()
    for frequencies in stored.values() if isinstance(stored, dict) else ():
        for tag, count in frequencies.items() if isinstance(frequencies, dict) else ():
            if isinstance(count, int) and tag.strip():
                counted[tag.strip()] += count
    return dict(counted.most_common())
