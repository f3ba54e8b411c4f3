"""Commands that plugins add to the command line.

The target of a command is a function whose parameters carry typer's annotations; its docstring is its help.
Its first parameter, `studio`, is the studio of the run, and no option. What it raises ends the program as for
the built-in commands; it prints through `sfumato.cli.output`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CommandInfo(BaseModel):
    """A command as registered."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="The word that calls it.")
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = Field(default="", description="One line in the list of commands.")
    group: str = Field(default="", description="Its first word: 'memory_plan' in 'memory' is 'memory plan'.")
