"""The face of the plugin memory to the kernel."""

from __future__ import annotations

from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.listeners import ListenerInfo
from sfumato.queries import QueryInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_listeners(listeners: Registrar[ListenerInfo]) -> None:
    listeners.add(
        "memory_records",
        "sfumato_memory.recording:record",
        label="Records of memory and time",
        kinds=("work_measured",),
    )


@hookimpl
def register_queries(queries: Registrar[QueryInfo]) -> None:
    queries.add(
        "memory_records",
        "sfumato_memory.query:memory_records",
        label="Memory records",
        summary="What requests took: the peak and the time of each phase.",
        request="sfumato_memory.query:MemoryRecordsRequest",
    )


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    home = "sfumato_memory.commands"
    commands.add(
        "memory_plan",
        f"{home}:plan",
        label="Memory plan",
        summary="Tell what a request will take.",
        group="memory",
    )
    commands.add(
        "memory_report",
        f"{home}:report",
        label="Memory report",
        summary="Tell what requests took.",
        group="memory",
    )
    commands.add(
        "memory_compare",
        f"{home}:compare",
        label="Memory comparison",
        summary="Compare memory with that of before.",
        group="memory",
    )
