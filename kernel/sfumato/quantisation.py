"""Quantisations: how weights are packed, who understands them, and who makes them.

A quantisation is known by the tensors that lie beside the packed ones (scales, tables). What it understands
is folded away before anybody else sees the checkpoint: families see the header that plain weights would
have, with the quantisation's name for the type, and tensors that operators work on as they are packed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfumato.models import CheckpointHeader

if TYPE_CHECKING:
    from torch import Tensor


class QuantisationInfo(BaseModel):
    """A quantisation as registered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    on_load: bool = Field(default=False, description="Whether plain weights can be packed while loading.")


class Quantisation(Protocol):
    """Made without arguments; the module that holds it must import without a tensor library."""

    def unpacked(self, header: CheckpointHeader) -> CheckpointHeader | None:
        """The header as it were with plain weights: their shapes, and no scales and tables beside them.

        None where nothing in it is packed this way. Raises `CheckpointError` where it is, and is damaged.
        """
        ...

    def open(self, header: CheckpointHeader, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors by the names of the unpacked header; packed ones stay so, and nothing is read.

        Args:
            header: As the file has it.
            tensors: By the names that it has.
        """
        ...

    def pack(self, weight: Tensor, device: str) -> Tensor:
        """A layer's plain weight packed on that device; only where `on_load` is said.

        Raises `SfumatoError` where a library or device that it takes is absent.
        """
        ...
