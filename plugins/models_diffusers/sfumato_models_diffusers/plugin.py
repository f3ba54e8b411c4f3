"""The face of the plugin models_diffusers to the kernel."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.models import ModelFamilyInfo
from sfumato.registry import Registrar
from sfumato.sampling import Option, SchedulerInfo

SFUMATO_API = "1.0"


@hookimpl
def register_model_families(families: Registrar[ModelFamilyInfo]) -> None:
    families.add(
        "diffusers",
        "sfumato_models_diffusers.family:DiffusersFamily",
        label="Diffusers folder",
        summary="Newer flow models that diffusers runs: Qwen-Image, Z-Image, Flux.2 Klein, Sana ...",
    )


@hookimpl
def register_schedulers(schedulers: Registrar[SchedulerInfo]) -> None:
    schedulers.add(
        "flow_to_terminal",
        "sfumato_models_diffusers.terminal_schedule:flow_to_terminal",
        label="Flow to a last level",
        summary="Equal steps in flow time, shifted and stretched to end at a given level; Qwen-Image's.",
        predictions=("flow",),
        options=(
            Option(
                name="terminal",
                default=0.02,
                minimum=0.001,
                maximum=0.9,
                description="The last noise level before 0.",
            ),
        ),
    )
