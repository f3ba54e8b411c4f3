"""A whole engine around a tiny exact model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sfumato.events import CancelToken, Event, EventBus
from sfumato.records import GenerationResult
from sfumato.registries import Registries
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato_engine.generate import generate
from sfumato_engine.model_manager import WORKSPACE_KEY
from sfumato_engine.settings import EngineSettings
from sfumato_pictures.settings import SavingSettings
from sfumato_samplers import plugin as samplers_plugin
from sfumato_upscalers import plugin as upscalers_plugin

from .gaussian_model import GaussianFamily, GaussianModel, OneModelLibrary


@dataclass
class Workbench:
    """The engine, its real samplers and the Gaussian model, all events noted."""

    folder: Path
    settings: EngineSettings = field(default_factory=EngineSettings)
    saving: SavingSettings = field(default_factory=SavingSettings)
    events: list[Event] = field(default_factory=list)
    cancel: CancelToken = field(default_factory=CancelToken)
    on_event: Callable[[Event], None] = lambda event: None
    workspace: dict[str, Any] = field(default_factory=dict)
    variant: str = "dev"
    ignores: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.registries = Registries()
        for name in ("samplers", "schedulers"):
            registrar = getattr(self.registries, name).registrar("samplers")
            getattr(samplers_plugin, f"register_{name}")(registrar)
            registrar.commit()
        upscalers = self.registries.upscalers.registrar("upscalers")
        upscalers_plugin.register_upscalers(upscalers)
        upscalers.commit()
        families = self.registries.model_families.registrar("gaussian")
        families.add("gaussian", GaussianFamily, label="Gaussian")
        families.commit()
        self.model_file = self.folder / "gauss.safetensors"
        self.model_file.touch()

    @property
    def context(self) -> TaskContext:
        bus = EventBus()
        bus.subscribe(self.events.append)
        bus.subscribe(self.on_event)
        return TaskContext(
            registries=self.registries,
            library=OneModelLibrary(self.model_file, self.variant, self.ignores),  # type: ignore[arg-type]
            settings=SimpleNamespace(engine=self.settings, saving=self.saving),
            output_folder=self.folder / "out",
            events=bus,
            cancel=self.cancel,
            workspace=self.workspace,
        )

    def generate(self, prompt: str = "a red apple", **fields: Any) -> GenerationResult:
        return generate(GenerationRequest(prompt=prompt, **fields), self.context)

    @property
    def loaded(self) -> list[Any]:
        """All models that are kept."""
        manager = self.workspace.get(WORKSPACE_KEY)
        return manager.models.values() if manager else []

    @property
    def model(self) -> GaussianModel:
        """The model that the engine keeps loaded."""
        return next(iter(self.workspace[WORKSPACE_KEY].models.values())).model


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)
