"""Every hook of the kernel. A plugin implements the ones it needs in its `plugin.py`.

The verb tells the semantics: ``register_<things>(things)`` collects and returns nothing. Registration runs
once, when the studio starts, in every process; it must be quick and import nothing heavy: give code as text
(``"package.module:attribute"``), it is imported on use. A plugin that raises is quarantined with its
traceback and none of its additions are kept; all other plugins go on. Plugins are called in name order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from sfumato.adapters import AdapterInfo
    from sfumato.checks import CheckInfo
    from sfumato.commands import CommandInfo
    from sfumato.listeners import ListenerInfo
    from sfumato.memory import MemorySourceInfo
    from sfumato.models import ModelFamilyInfo, RegisteredModelInfo, WeightFormatInfo
    from sfumato.pages import CatalogueInfo, PageInfo, PanelInfo, RoutesInfo
    from sfumato.quantisation import QuantisationInfo
    from sfumato.queries import QueryInfo
    from sfumato.registry import Registrar
    from sfumato.sampling import SamplerInfo, SchedulerInfo
    from sfumato.settings import SettingsSectionInfo
    from sfumato.stages import StageInfo
    from sfumato.tasks import TaskInfo
    from sfumato.training import TrainerInfo
    from sfumato.upscaling import FaceRestorerInfo, UpscalerInfo

PROJECT = "sfumato"
KERNEL_API = (1, 0)
"""Plugins declare ``SFUMATO_API = "1.0"``: same major number, and a minor number no higher than this one."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# Sampling


@hookspec
def register_samplers(samplers: Registrar[SamplerInfo]) -> None:
    """Offer samplers: ``samplers.add(name, target, label=..., aliases=..., order=..., options=...)``.

    The target is a `sfumato.sampling.Sampler`; the keywords are the fields of `SamplerInfo`.
    """


@hookspec
def register_schedulers(schedulers: Registrar[SchedulerInfo]) -> None:
    """Offer schedulers: ``schedulers.add(name, target, label=..., aliases=...)``.

    The target is a `sfumato.sampling.Scheduler`; the keywords are the fields of `SchedulerInfo`.
    """


# Models


@hookspec
def register_weight_formats(formats: Registrar[WeightFormatInfo]) -> None:
    """Offer file formats for weights: ``formats.add(name, target, label=..., suffixes=(".safetensors",))``.

    The target is a class without arguments fulfilling `sfumato.models.WeightFormat`.
    """


@hookspec
def register_quantisations(quantisations: Registrar[QuantisationInfo]) -> None:
    """Offer quantisations: ``quantisations.add("nf4", target, label=..., on_load=True)``.

    The target is a class without arguments fulfilling `sfumato.quantisation.Quantisation`. It is asked about
    every checkpoint whose header is read, so its module must not import a tensor library at the top.
    """


@hookspec
def register_model_families(families: Registrar[ModelFamilyInfo]) -> None:
    """Offer model families: ``families.add(name, target, label=...)``.

    The target is a class without arguments fulfilling `sfumato.models.ModelFamily`. It is imported whenever a
    checkpoint is to be detected, so its module must not import a tensor library at the top.
    """


@hookspec
def register_models(models: Registrar[RegisteredModelInfo]) -> None:
    """Bring models along: ``models.add(name, path, label=..., defaults=..., licence=...)``.

    The target is the path of the checkpoint as text or `Path`, read with whatever format and family claim it.
    """


@hookspec
def register_adapters(adapters: Registrar[AdapterInfo]) -> None:
    """Offer kinds of adapters: ``adapters.add(name, target, label=..., tags=("lora",))``.

    The target is a class without arguments fulfilling `sfumato.adapters.AdapterKind`.
    """


# Finished pictures


@hookspec
def register_upscalers(upscalers: Registrar[UpscalerInfo]) -> None:
    """Offer upscalers: ``upscalers.add(name, target, label=..., works_on="pixels")``.

    The target is a `sfumato.upscaling.Upscaler`; hires fix and extras call it.
    """


@hookspec
def register_face_restorers(face_restorers: Registrar[FaceRestorerInfo]) -> None:
    """Offer face restorers: ``face_restorers.add(name, target, label=...)``.

    The target is a `sfumato.upscaling.FaceRestorer`; requests and extras name it.
    """


# Work


@hookspec
def register_stages(stages: Registrar[StageInfo]) -> None:
    """Offer stages in the way of a picture: ``stages.add(name, target, label=..., at="picture")``.

    The target is a plain function whose shape depends on `at`, see `sfumato.stages`. It takes part in the
    requests that name it; one that raises fails its request, with the stage named.
    """


@hookspec
def register_trainers(trainers: Registrar[TrainerInfo]) -> None:
    """Offer trainers: ``trainers.add(name, target, label=..., options=...)``.

    The target is a `sfumato.training.Trainer`; ``Studio().train(config)`` runs the one that the config names.
    """


@hookspec
def register_tasks(tasks: Registrar[TaskInfo]) -> None:
    """Offer ways to do a kind of work: ``tasks.add("generate", target, label=...)``.

    The target is a `sfumato.tasks.Task`, called in the process of the backend that carries the work out.
    """


@hookspec
def register_queries(queries: Registrar[QueryInfo]) -> None:
    """Offer answers to quick questions: ``queries.add(name, target, label=..., request="module:Model")``.

    The target is a `sfumato.queries.Query`; ``Studio().ask(name, ...)`` calls it in the process that asks, so
    it must not import a tensor library.
    """


@hookspec
def register_listeners(listeners: Registrar[ListenerInfo]) -> None:
    """Offer listeners to all work: ``listeners.add(name, target, label=..., kinds=("work_measured",))``.

    The target is a `sfumato.listeners.StudioListener`, called in the process that works with each event of
    these kinds, while the work goes on: it must be quick. One that raises is logged and skipped.
    """


@hookspec
def register_memory_sources(memory_sources: Registrar[MemorySourceInfo]) -> None:
    """Offer figures of memory: ``memory_sources.add(name, target, label=...)``.

    The target is a `sfumato.memory.MemorySource`, called every few seconds in the process that works.
    """


# The web interface


@hookspec
def register_pages(pages: Registrar[PageInfo]) -> None:
    """Offer pages of the web interface: ``pages.add(name, target, label=..., order=...)``.

    The target is a `sfumato.pages.Page`: it builds a Flask blueprint for a studio. Nothing is built where no
    web interface is installed.
    """


@hookspec
def register_panels(panels: Registrar[PanelInfo]) -> None:
    """Offer panels on pages: ``panels.add(name, target, label=..., page="generate")``.

    The target is a `sfumato.pages.Page` whose blueprint has a view named ``fragment``; the page that is named
    shows what it gives.
    """


@hookspec
def register_routes(routes: Registrar[RoutesInfo]) -> None:
    """Offer addresses for programs: ``routes.add(name, target, label=..., address="/my-api")``.

    The target is a `sfumato.pages.Page`; its blueprint is served below the address, guarded as all others.
    """


@hookspec
def register_catalogues(catalogues: Registrar[CatalogueInfo]) -> None:
    """Offer translations of the plugin's texts: ``catalogues.add(name, folder, label=...)``.

    The target is the `Path` of a folder of ``<locale>/LC_MESSAGES/messages.po``.
    """


# The installation


@hookspec
def register_commands(commands: Registrar[CommandInfo]) -> None:
    """Offer commands of the command line: ``commands.add(name, target, label=..., summary=...)``.

    The target is a function with typer's annotations, see `sfumato.commands`; it is imported when called or
    when its help is asked for.
    """


@hookspec
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    """Offer a section of settings: ``sections.add("engine", target, label=...)``.

    The target is a pydantic model whose every field has a default; it appears as ``engine.<field>`` in
    ``sfumato settings``, in the TOML file and as ``SFUMATO_ENGINE__<FIELD>`` in the environment.

    ``json_schema_extra={"guarded": True}`` says that who is not at this machine may not change a field, as
    that lets files be read or programs run; those that hold a `Path` are guarded anyway. With
    ``{"secret": True}`` its value is shown to nobody, and it is guarded, too.
    """


@hookspec
def register_checks(checks: Registrar[CheckInfo]) -> None:
    """Offer health checks for ``sfumato doctor``: ``checks.add(name, target, label=...)``.

    The target is a `sfumato.checks.Check`; one that raises is reported as a problem of its plugin.
    """
