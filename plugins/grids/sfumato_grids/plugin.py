"""The face of the plugin grids to the kernel."""

from __future__ import annotations

from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.queries import QueryInfo
from sfumato.registry import Registrar
from sfumato.tasks import TaskInfo

SFUMATO_API = "1.0"


@hookimpl
def register_tasks(tasks: Registrar[TaskInfo]) -> None:
    tasks.add(
        "grid",
        "sfumato_grids.task:draw_grid",
        label="Grid",
        summary="Many pictures of one request: over axes, prompt parts, lists of prompts or folders.",
        request="sfumato.request:GridRequest",
    )


@hookimpl
def register_queries(queries: Registrar[QueryInfo]) -> None:
    queries.add(
        "plan_grid",
        "sfumato_grids.plan_query:plan_grid",
        label="Plan of a grid",
        summary="How many pictures and steps a grid comes to, and what is wrong with it.",
        request="sfumato.request:GridRequest",
        reads_paths=True,
    )


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    commands.add(
        "grid",
        "sfumato_grids.commands:grid",
        label="X/Y/Z grid",
        summary="Draw a picture for every combination of values, and sheets of them.",
    )
    commands.add(
        "matrix",
        "sfumato_grids.commands:matrix",
        label="Prompt matrix",
        summary="Draw every combination of the parts behind | in a prompt.",
    )
    commands.add(
        "batch",
        "sfumato_grids.commands:batch",
        label="Batch",
        summary="Draw each prompt of a file, or each picture of a folder anew.",
    )
