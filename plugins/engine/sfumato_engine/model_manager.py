"""Models kept loaded from one request to the next."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.library import ModelLibrary
from sfumato.models import LoadedModel, ModelFamily, ModelInfo, Placement
from sfumato_engine.lru import LeastRecentlyUsed
from sfumato_engine.settings import EngineSettings

WORKSPACE_KEY = "engine.models"


@dataclass(frozen=True)
class KeptModel:
    """A loaded model.

    Attributes:
        identity: Equal only for the same unchanged files in the same placement.
    """

    model: LoadedModel
    identity: Hashable
    states: Hashable

    @property
    def is_current(self) -> bool:
        """Whether the files it was loaded from are what they were."""
        return self.states == file_states(self.model)


class ModelManager:
    """Loaded models and their encoded prompts, the least recently used dropped first."""

    def __init__(self) -> None:
        self.models: LeastRecentlyUsed[KeptModel] = LeastRecentlyUsed(0)
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
    ) -> KeptModel:
        """The model in that placement, loaded unless it is at hand and its files are unchanged.

        Raises:
            MissingPart: a part is not in the model folders.
            CheckpointError: the weights are damaged or wrong.
        """
        # What was found in the checkpoint counts too: config files of a folder are not among a model's files.
        by_part = tuple(sorted(placement.part_dtypes.items())), tuple(sorted(placement.part_files.items()))
        key = (repr(info), placement.device, placement.dtype, by_part)

        def loaded() -> KeptModel:
            model = family.load(info, library, placement)
            states = file_states(model)
            return KeptModel(model, (key, states), states)

        self.models.drop(lambda kept: not kept.is_current)
        return self.models.get(key, loaded)

    def drop_others(self, models: Sequence[LoadedModel]) -> int:
        """Let go of all models but these; returns how many."""
        return self.models.drop(lambda kept: not any(kept.model is model for model in models))


def file_states(model: LoadedModel) -> Hashable:
    """Path, size and modification time of every file that a model was loaded from."""
    return tuple(_state(path) for files in model.files.values() for path in files)


def _state(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), stat.st_size, stat.st_mtime_ns
