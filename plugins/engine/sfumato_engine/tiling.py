"""Pictures that tile: convolutions that take a picture's right edge for the neighbour of its left one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from sfumato.models import LoadedModel

CONVOLVING = ("unet", "autoencoder")
"""Parts that see neighbours by convolutions alone or before all; in a transformer every token sees all."""


@contextmanager
def wrapped_around(models: Iterable[LoadedModel], *, wanted: bool) -> Iterator[None]:
    """Within this, if wanted, all convolutions of the models pad with the opposite edge."""
    layers = (layer for model in models for layer in _convolutions(model)) if wanted else ()
    changed = [layer for layer in layers if layer.padding_mode == "zeros"]
    for layer in changed:
        layer.padding_mode = "circular"
    try:
        yield
    finally:
        for layer in changed:
            layer.padding_mode = "zeros"


def _convolutions(model: LoadedModel) -> Iterator[nn.Conv2d]:
    for kind in CONVOLVING:
        network = model.networks.get(kind)
        if network is not None:
            yield from (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
