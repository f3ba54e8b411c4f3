"""Models kept loaded from one request to the next."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from sfumato.library import ModelLibrary
from sfumato.models import LoadedModel, ModelFamily, ModelInfo, Placement
from sfumato_engine.lru import LeastRecentlyUsed
from sfumato_engine.settings import EngineSettings

WORKSPACE_KEY = "engine.models"


class ModelManager:
    """Loaded models and their encoded prompts, the least recently used dropped first."""

    def __init__(self) -> None:
        self.models: LeastRecentlyUsed[LoadedModel] = LeastRecentlyUsed(0)
        self.conditioning: LeastRecentlyUsed[Any] = LeastRecentlyUsed(0)

    @classmethod
    def of(cls, workspace: dict[str, Any], settings: EngineSettings) -> ModelManager:
        """The manager that lives in a backend's workspace, with the limits that are in force now."""
        manager: ModelManager = workspace.setdefault(WORKSPACE_KEY, cls())
        manager.models.capacity = settings.keep_models
        manager.conditioning.capacity = settings.keep_conditioning
        return manager

    def load(
        self, info: ModelInfo, family: ModelFamily, placement: Placement, library: ModelLibrary
    ) -> LoadedModel:
        """The model in that placement, loaded unless it is at hand.

        Raises:
            MissingPart: a part is not in the model folders.
            CheckpointError: the weights are damaged or wrong.
        """
        return self.models.get(identity(info, placement), lambda: family.load(info, library, placement))


def identity(info: ModelInfo, placement: Placement) -> Hashable:
    """Equal only for the same unchanged files in the same placement."""
    parts = tuple(sorted(placement.part_dtypes.items()))
    return (str(info.path), _state(info.path), placement.device, placement.dtype, parts)


def _state(path: Path) -> tuple[tuple[int, int], ...]:
    """Sizes and modification times of a model's files."""
    files = sorted(path.rglob("*.*")) if path.is_dir() else [path]
    return tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
