"""What the engine offers: the tasks 'generate', 'replay' and 'train', its settings, its health checks."""

from __future__ import annotations

from sfumato.checks import CheckInfo
from sfumato.hookspecs import hookimpl
from sfumato.memory import MemorySourceInfo
from sfumato.queries import QueryInfo
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
        "memory_plan",
        "sfumato_engine.memory_plan:memory_plan",
        label="Memory plan",
        summary="What a request will take, phase by phase, before it is carried out.",
        request="sfumato.request:GenerationRequest",
    )
    tasks.add(
        "train",
        "sfumato_engine.train:train",
        label="Train",
        summary="Weights from pictures with captions, by the trainer that is asked for.",
        request="sfumato.training:TrainingConfig",
    )


@hookimpl
def register_queries(queries: Registrar[QueryInfo]) -> None:
    home = "sfumato_engine.queries"
    queries.add(
        "prompt_syntax",
        f"{home}.prompt_syntax:prompt_syntax",
        label="Prompt syntax",
        summary="A prompt cut into stretches of one meaning.",
        request=f"{home}.prompt_syntax:PromptSyntaxRequest",
    )
    queries.add(
        "token_count",
        f"{home}.token_count:token_count",
        label="Token count",
        summary="How long a prompt is for the text encoders of a model.",
        request=f"{home}.token_count:TokenCountRequest",
    )
    queries.add(
        "infotext_parameters",
        f"{home}.infotexts:infotext_parameters",
        label="Infotext parameters",
        summary="An infotext as the flat dictionary that A1111 makes of it.",
        request=f"{home}.infotexts:InfotextRequest",
    )
    queries.add(
        "import_infotext",
        f"{home}.infotexts:import_infotext",
        label="Import infotext",
        summary="An infotext as fields of a request.",
        request=f"{home}.infotexts:InfotextRequest",
    )
    queries.add(
        "read_picture",
        f"{home}.infotexts:read_picture",
        label="Read picture",
        summary="What a picture remembers, and the request that would draw it.",
        request=f"{home}.infotexts:PictureRequest",
        reads_paths=True,
    )
    queries.add(
        "plan",
        f"{home}.plan:plan",
        label="Plan",
        summary="How many pictures and steps a request comes to, and what is wrong with it.",
        request=f"{home}.plan:PlanRequest",
        reads_paths=True,
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
