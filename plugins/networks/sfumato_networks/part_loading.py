"""Shared parts made into networks, their weights mapped from the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato_networks.autoencoder import Autoencoder, AutoencoderConfig
from sfumato_networks.clip_text import ClipText, ClipTextConfig
from sfumato_networks.parts import Part
from sfumato_networks.quantised_storage import refuse_quantised
from sfumato_networks.t5_encoder import T5Config, T5Encoder
from sfumato_networks.weights import build_empty, load_network

C = TypeVar("C")

CLIP_HEAD_SIZE = 64


def load_autoencoder(
    part: Part, opened: Mapping[str, Tensor], dtype: torch.dtype, device: str
) -> Autoencoder:
    """The autoencoder of a part; raises `CheckpointError` when tensors are missing or of a wrong shape."""
    refuse_quantised(part.stored, _where(part))
    config = _sizes(part, lambda: AutoencoderConfig.from_shapes(part.shapes))
    network = _sizes(part, lambda: build_empty(lambda: Autoencoder(config)))
    return load_network(network, part.tensors(opened), dtype, device, where=_where(part))


def load_t5_encoder(part: Part, opened: Mapping[str, Tensor], dtype: torch.dtype, device: str) -> T5Encoder:
    """The T5 encoder of a part; raises `CheckpointError` when tensors are missing or of a wrong shape."""
    refuse_quantised(part.stored, _where(part))
    config = _sizes(part, lambda: T5Config.from_shapes(part.shapes))
    network = _sizes(part, lambda: build_empty(lambda: T5Encoder(config)))
    return load_network(network, part.tensors(opened), dtype, device, where=_where(part))


def load_clip_text(part: Part, opened: Mapping[str, Tensor], dtype: torch.dtype, device: str) -> ClipText:
    """The CLIP text encoder of a part, without its projection.

    The size of a head and the activation leave no trace in the weights: config.json or the metadata
    (`sfumato.clip_head_size`, `sfumato.clip_activation`) tell them, otherwise they are CLIP-L's. Raises
    `CheckpointError` when tensors are missing or of a wrong shape.
    """
    refuse_quantised(part.stored, _where(part))
    shapes = {name: shape for name, shape in part.shapes.items() if name.startswith("text_model.")}
    config = _sizes(part, lambda: _clip_config(part, shapes))
    network = _sizes(part, lambda: build_empty(lambda: ClipText(config)))
    tensors = {
        name: tensor for name, tensor in part.tensors(opened).items() if name.startswith("text_model.")
    }
    return load_network(network, tensors, dtype, device, where=_where(part))


def _clip_config(part: Part, shapes: Mapping[str, tuple[int, ...]]) -> ClipTextConfig:
    heads = part.config.get("num_attention_heads")
    width = part.width
    stated = part.header.metadata.get("sfumato.clip_head_size")
    head_size = width // int(heads) if heads else int(stated or CLIP_HEAD_SIZE)
    if head_size < 1 or width % head_size:
        raise ValueError(f"its {width} features cannot be shared among heads of {head_size}")
    activation = part.config.get("hidden_act") or part.header.metadata.get(
        "sfumato.clip_activation", "quick_gelu"
    )
    return ClipTextConfig.from_shapes(shapes, head_size=head_size, activation=str(activation))


def _sizes(part: Part, read: Callable[[], C]) -> C:
    try:
        return read()
    except KeyError as error:
        raise _unfit(part, f"It lacks {error.args[0]}.") from error
    except (ValueError, IndexError, ZeroDivisionError, TypeError) as error:
        raise _unfit(part, f"Its network cannot be built: {error}.") from error


def _unfit(part: Part, why: str) -> CheckpointError:
    return CheckpointError(
        f"The {part.kind.replace('_', ' ')} in '{_where(part)}' cannot be used.",
        why=why,
        hint="Get the file again.",
    )


def _where(part: Part) -> str:
    return part.header.path.name
