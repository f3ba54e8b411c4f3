"""Shared parts made into networks, their weights mapped from the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato_networks.autoencoder import Autoencoder, AutoencoderConfig
from sfumato_networks.clip_text import ClipText, ClipTextConfig
from sfumato_networks.open_clip_text import OpenClipText
from sfumato_networks.open_clip_text import config_from_shapes as open_clip_config
from sfumato_networks.parts import CLIP_G_TEXT, CLIP_TEXT, OPEN_CLIP_TEXT, Part
from sfumato_networks.quantised_storage import refuse_quantised
from sfumato_networks.t5_encoder import T5Config, T5Encoder
from sfumato_networks.weights import Destination, build_empty, load_network

C = TypeVar("C")

ClipEncoder = ClipText | OpenClipText

CLIP_HEAD_SIZE = 64
OPEN_CLIP_LAYERS = 24

_AUTOENCODER_TENSORS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
"""What their names begin with: files have leftovers of training ("loss.", "model_ema.") too."""
_CLIP_TENSORS = (
    "text_model.",
    "text_projection",
    "token_embedding.",
    "positional_embedding",
    "transformer.",
    "ln_final.",
)
"""What their names begin with: files of whole CLIPs hold the vision model too."""


def load_autoencoder(
    part: Part, opened: Mapping[str, Tensor], dtype: torch.dtype, device: str | Destination
) -> Autoencoder:
    """The autoencoder of a part; raises `CheckpointError` when tensors are missing or of a wrong shape."""
    refuse_quantised(part.stored, _where(part))
    config = _sizes(part, lambda: AutoencoderConfig.from_shapes(part.shapes))
    network = _sizes(part, lambda: build_empty(lambda: Autoencoder(config)))
    tensors = _beginning_with(_AUTOENCODER_TENSORS, part.tensors(opened))
    return load_network(network, tensors, dtype, device, where=_where(part))


def load_t5_encoder(
    part: Part, opened: Mapping[str, Tensor], dtype: torch.dtype, device: str | Destination
) -> T5Encoder:
    """The T5 encoder of a part; raises `CheckpointError` when tensors are missing or of a wrong shape."""
    refuse_quantised(part.stored, _where(part))
    config = _sizes(part, lambda: T5Config.from_shapes(part.shapes))
    network = _sizes(part, lambda: build_empty(lambda: T5Encoder(config)))
    return load_network(network, part.tensors(opened), dtype, device, where=_where(part))


def load_clip_text(
    part: Part,
    opened: Mapping[str, Tensor],
    dtype: torch.dtype,
    device: str | Destination,
    *,
    projected: bool = False,
) -> ClipEncoder:
    """The CLIP text encoder of a part, in the layout that its file has.

    The size of a head and the activation leave no trace in the weights: config.json or the metadata
    (`sfumato.clip_head_size`, `sfumato.clip_activation`) tell them, otherwise they are those of its kind.

    Args:
        projected: Whether the pooled state is to be projected, where the file has a projection. CLIP-L's are
            distributed with and without it; bigG is useless without, which is an error.

    Raises:
        CheckpointError: tensors are missing or of a wrong shape.
    """
    refuse_quantised(part.stored, _where(part))
    wanted = tuple(name for name in _CLIP_TENSORS if projected or not name.startswith("text_projection"))
    config = _sizes(part, lambda: _clip_config(part, _beginning_with(wanted, part.shapes)))
    if projected and part.kind == CLIP_G_TEXT and not config.projection_size:
        raise _unfit(part, "It lacks its text projection.")
    build = OpenClipText if part.in_open_clip_layout else ClipText
    network: ClipEncoder = _sizes(part, lambda: build_empty(lambda: build(config)))
    tensors = _beginning_with(wanted, part.tensors(opened))
    return load_network(network, tensors, dtype, device, where=_where(part))


def _clip_config(part: Part, shapes: Mapping[str, tuple[int, ...]]) -> ClipTextConfig:
    heads, metadata = part.config.get("num_attention_heads"), part.header.metadata
    width = part.width
    stated = metadata.get("sfumato.clip_head_size")
    head_size = width // int(heads) if heads else int(stated or CLIP_HEAD_SIZE)
    if head_size < 1 or width % head_size:
        raise ValueError(f"its {width} features cannot be shared among heads of {head_size}")
    usual = "quick_gelu" if part.kind == CLIP_TEXT else "gelu"
    activation = str(part.config.get("hidden_act") or metadata.get("sfumato.clip_activation", usual))
    read_sizes = open_clip_config if part.in_open_clip_layout else ClipTextConfig.from_shapes
    config = read_sizes(shapes, head_size=head_size, activation=activation)
    return replace(config, dropped_layers=_dropped_layers(part, config))


def _dropped_layers(part: Part, config: ClipTextConfig) -> int:
    """Diffusers' conversion of Stable Diffusion 2 left out the last layer, and so do files made from it."""
    if part.kind != OPEN_CLIP_TEXT or config.layers >= OPEN_CLIP_LAYERS:
        return 0
    return 0 if part.in_open_clip_layout and config.layers != OPEN_CLIP_LAYERS - 1 else 1


def _beginning_with(prefixes: tuple[str, ...], named: Mapping[str, C]) -> dict[str, C]:
    return {name: value for name, value in named.items() if name.startswith(prefixes)}


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
