"""The face of the plugin memory to the kernel."""

from __future__ import annotations

from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.listeners import ListenerInfo
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
def register_commands(commands: Registrar[CommandInfo]) -> None:
    commands.add(
        "memory",
        "sfumato_memory.commands:memory",
        label="Memory",
        summary="What requests will take, what they took, and whether that has grown.",
    )
