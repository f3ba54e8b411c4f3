"""What the engine offers: the tasks 'generate', 'replay' and 'train', its settings, its health checks."""

from __future__ import annotations

from sfumato.checks import CheckInfo
from sfumato.hookspecs import hookimpl
from sfumato.memory import MemorySourceInfo
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo
from sfumato.tasks import TaskInfo

SFUMATO_API = "1.0"


@hookimpl
def register_tasks(tasks: Registrar[TaskInfo]) -> None:
    tasks.add(
        "generate",
        "sfumato_engine.generate:generate",
        label="Generate",
        summary="Pictures from a prompt.",
        request="sfumato.request:GenerationRequest",
    )
    tasks.add(
        "replay",
        "sfumato_engine.replay.replay:replay",
        label="Replay",
        summary="A picture again, from what it remembers.",
        request="sfumato.replay:ReplayRequest",
    )
    tasks.add(
        "train",
        "sfumato_engine.train:train",
        label="Train",
        summary="Weights from pictures with captions, by the trainer that is asked for.",
        request="sfumato.training:TrainingConfig",
    )


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("engine", "sfumato_engine.settings:EngineSettings", label="Engine")


@hookimpl
def register_checks(checks: Registrar[CheckInfo]) -> None:
    checks.add("torch", "sfumato_engine.checks:check_torch", label="Tensor library and device")


@hookimpl
def register_memory_sources(memory_sources: Registrar[MemorySourceInfo]) -> None:
    memory_sources.add("engine", "sfumato_engine.memory_source:memory_figures", label="Models and devices")
