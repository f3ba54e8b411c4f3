"""Safetensors files and diffusers folders as the kernel drives them; torch is imported on opening tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.models import CheckpointHeader
from sfumato_networks.checkpoint_folder import read_diffusers_folder
from sfumato_networks.safetensors_header import read_header

if TYPE_CHECKING:
    from torch import Tensor


class SafetensorsFormat:
    """One safetensors file; fulfils `sfumato.models.WeightFormat`."""

    def read_header(self, path: Path) -> CheckpointHeader:
        """Names, types, shapes and positions; raises `CheckpointError` where anything is wrong."""
        return read_header(path)

    def open_tensors(self, path: Path) -> Mapping[str, Tensor]:
        """The tensors by name, memory-mapped; raises `CheckpointError` where anything is wrong."""
        from sfumato_networks.safetensors_file import MappedTensors

        return MappedTensors(path)


class DiffusersFolderFormat:
    """A folder with model_index.json and a sub-folder for each part; fulfils `sfumato.models.WeightFormat`.

    Tensors are named "part/name", in the layout of diffusers. `configs` holds each part's config.json, and
    under "scheduler" the scheduler's own.
    """

    def read_header(self, path: Path) -> CheckpointHeader:
        """The joint header of all parts; raises `CheckpointError` where anything is wrong."""
        return read_diffusers_folder(path)

    def open_tensors(self, path: Path) -> Mapping[str, Tensor]:
        """The tensors by name, memory-mapped; raises `CheckpointError` where anything is wrong."""
        from sfumato_networks.safetensors_file import MappedTensors

        return MappedTensors(read_diffusers_folder(path))
