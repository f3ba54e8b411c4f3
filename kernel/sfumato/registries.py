"""All registries of a studio in one place, one a `register_<things>` hook."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from sfumato.adapters import AdapterInfo
from sfumato.checks import CheckInfo
from sfumato.commands import CommandInfo
from sfumato.listeners import ListenerInfo
from sfumato.memory import MemorySourceInfo
from sfumato.models import ModelFamilyInfo, RegisteredModelInfo, WeightFormatInfo
from sfumato.pages import CatalogueInfo, PageInfo, PanelInfo, RoutesInfo
from sfumato.quantisation import QuantisationInfo
from sfumato.queries import QueryInfo
from sfumato.registry import Registry
from sfumato.sampling import SamplerInfo, SchedulerInfo
from sfumato.settings import SettingsSectionInfo
from sfumato.stages import StageInfo
from sfumato.tasks import TaskInfo
from sfumato.training import TrainerInfo
from sfumato.upscaling import FaceRestorerInfo, UpscalerInfo


@dataclass(frozen=True)
class Registries:
    """What the plugins of one studio have contributed; the attribute name is the hook's `<things>`."""

    samplers: Registry[SamplerInfo] = field(
        default_factory=lambda: Registry("sampler", SamplerInfo, "sfumato samplers")
    )
    schedulers: Registry[SchedulerInfo] = field(
        default_factory=lambda: Registry("scheduler", SchedulerInfo, "sfumato schedulers")
    )
    weight_formats: Registry[WeightFormatInfo] = field(
        default_factory=lambda: Registry("weight format", WeightFormatInfo)
    )
    quantisations: Registry[QuantisationInfo] = field(
        default_factory=lambda: Registry("quantisation", QuantisationInfo)
    )
    model_families: Registry[ModelFamilyInfo] = field(
        default_factory=lambda: Registry("model family", ModelFamilyInfo)
    )
    models: Registry[RegisteredModelInfo] = field(
        default_factory=lambda: Registry("model", RegisteredModelInfo, "sfumato models")
    )
    adapters: Registry[AdapterInfo] = field(default_factory=lambda: Registry("kind of adapter", AdapterInfo))
    upscalers: Registry[UpscalerInfo] = field(
        default_factory=lambda: Registry("upscaler", UpscalerInfo, "sfumato upscalers")
    )
    face_restorers: Registry[FaceRestorerInfo] = field(
        default_factory=lambda: Registry("face restorer", FaceRestorerInfo)
    )
    commands: Registry[CommandInfo] = field(default_factory=lambda: Registry("command", CommandInfo))
    stages: Registry[StageInfo] = field(default_factory=lambda: Registry("stage", StageInfo))
    trainers: Registry[TrainerInfo] = field(default_factory=lambda: Registry("trainer", TrainerInfo))
    queries: Registry[QueryInfo] = field(default_factory=lambda: Registry("query", QueryInfo))
    listeners: Registry[ListenerInfo] = field(default_factory=lambda: Registry("listener", ListenerInfo))
    memory_sources: Registry[MemorySourceInfo] = field(
        default_factory=lambda: Registry("source of memory figures", MemorySourceInfo)
    )
    pages: Registry[PageInfo] = field(default_factory=lambda: Registry("page", PageInfo))
    panels: Registry[PanelInfo] = field(default_factory=lambda: Registry("panel", PanelInfo))
    routes: Registry[RoutesInfo] = field(default_factory=lambda: Registry("set of routes", RoutesInfo))
    catalogues: Registry[CatalogueInfo] = field(
        default_factory=lambda: Registry("catalogue of translations", CatalogueInfo)
    )
    tasks: Registry[TaskInfo] = field(default_factory=lambda: Registry("task", TaskInfo))
    settings: Registry[SettingsSectionInfo] = field(
        default_factory=lambda: Registry("settings section", SettingsSectionInfo)
    )
    checks: Registry[CheckInfo] = field(default_factory=lambda: Registry("check", CheckInfo))

    def for_hook(self, hook: str) -> Registry[Any] | None:
        """The registry that a `register_<things>` hook fills."""
        return getattr(self, hook.removeprefix("register_"), None)

    def withdraw(self, plugin: str) -> None:
        """Forget everything a plugin contributed."""
        for registry in fields(self):
            getattr(self, registry.name).withdraw(plugin)

    def settle(self) -> dict[str, tuple[str, Exception]]:
        """Put all replacements in force; see `Registry.settle`. The failures come with the hook's name."""
        return {
            plugin: (f"register_{registry.name}", error)
            for registry in fields(self)
            for plugin, error in getattr(self, registry.name).settle().items()
        }

    def tell_absent(self, plugins: tuple[str, ...]) -> None:
        """Let the registries know which installed plugins take no part."""
        for registry in fields(self):
            getattr(self, registry.name).absent = plugins

    def replaced_by(self, plugin: str) -> tuple[str, ...]:
        """What a plugin stands in for: "sampler 'euler' of plugin 'samplers'"."""
        return tuple(
            f"{registry.kind} '{entry.info.name}' of plugin '{entry.replaces}'"
            for registry in (getattr(self, field.name) for field in fields(self))
            for entry in registry
            if entry.plugin == plugin and entry.replaces
        )
