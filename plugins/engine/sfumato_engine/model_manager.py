"""Models kept loaded from one request to the next."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.library import ModelLibrary
from sfumato.models import LoadedModel, ModelFamily, ModelInfo, Placement
from sfumato_engine.idle import IdleTimer
from sfumato_engine.lru import LeastRecentlyUsed
from sfumato_engine.settings import SIMULATED, EngineSettings

if TYPE_CHECKING:
    from sfumato_engine.counting_allocator import CountingAllocator
    from sfumato_engine.residency.residency import Residency

WORKSPACE_KEY = "engine.models"
MEGABYTE = 1 << 20


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
    """Loaded models and their encoded prompts, the least recently used dropped first.

    Attributes:
        simulated: Counts the memory of the device, where that is a simulated one.
    """

    def __init__(self) -> None:
        self.models: LeastRecentlyUsed[KeptModel] = LeastRecentlyUsed(0)
        self.conditioning: LeastRecentlyUsed[Any] = LeastRecentlyUsed(0)
        self.idle = IdleTimer()
        self.simulated: CountingAllocator | None = None
        self._residency: tuple[str, Residency] | None = None

    @classmethod
    def of(cls, workspace: dict[str, Any], settings: EngineSettings) -> ModelManager:
        """The manager that lives in a backend's workspace, with the limits that are in force now."""
        manager: ModelManager = workspace.setdefault(WORKSPACE_KEY, cls())
        manager.models.capacity = settings.keep_models
        manager.conditioning.capacity = settings.keep_conditioning
        return manager

    def residency(self, settings: EngineSettings) -> Residency:
        """Where weights lie on the device of the settings; on a new device all models begin anew."""
        # Late, as figures of memory are asked for where torch is not to be imported.
        from sfumato_engine.counting_allocator import CountingAllocator
        from sfumato_engine.device import is_simulated, simulated_capacity, torch_device
        from sfumato_engine.residency.residency import MemoryLimits, Residency

        if self._residency is None or self._residency[0] != settings.device:
            self.models.drop(lambda kept: True)
            simulated = is_simulated(settings.device)
            self.simulated = CountingAllocator(simulated_capacity(settings.device)) if simulated else None
            self._residency = settings.device, Residency(torch_device(settings.device), self.simulated)
        residency = self._residency[1]
        residency.limits = MemoryLimits(
            budget=settings.memory_budget * MEGABYTE,
            reserve=settings.memory_reserve * MEGABYTE,
            keep_numbers=settings.keep_dequantised * MEGABYTE,
        )
        return residency

    def peak(self) -> tuple[str, int]:
        """The device of the newest request, and the most bytes that it took there at once so far."""
        if self._residency is None:
            return "", 0
        residency = self._residency[1]
        telemetry = residency.telemetry  # of one moment: another thread asks
        device = SIMULATED if self.simulated else residency.device
        return device, telemetry.peak if telemetry else residency.peak

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
        key = (repr(info), placement.device, placement.dtype, by_part, placement.quantisation)

        def loaded() -> KeptModel:
            model = family.load(info, library, placement)
            states = file_states(model)
            return KeptModel(model, (key, states), states)

        self.models.drop(lambda kept: not kept.is_current)
        return self.models.get(key, loaded)

    def drop_others(self, models: Sequence[LoadedModel]) -> int:
        """Let go of all models but these; returns how many."""
        dropped = self.models.drop(lambda kept: not any(kept.model is model for model in models))
        self.forget_dropped(models)
        return dropped

    def forget_dropped(self, models: Sequence[LoadedModel] = ()) -> None:
        """Weights of models that are neither kept nor among these are no longer counted."""
        if self._residency is not None:
            self._residency[1].keep_only([*(kept.model for kept in self.models.values()), *models])

    def free_device(self) -> None:
        """Every weight leaves the device; the models stay loaded, and come again when they are used."""
        if self._residency is not None:
            self._residency[1].leave_all()


def file_states(model: LoadedModel) -> Hashable:
    """Path, size and modification time of every file that a model was loaded from."""
    return tuple(_state(path) for files in model.files.values() for path in files)


def _state(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), stat.st_size, stat.st_mtime_ns
