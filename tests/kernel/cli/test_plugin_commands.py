"""Commands of plugins: listed without being imported, called with the studio of the run, told when broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import InstallPlugin
from .conftest import Sfumato

PLUGIN = """
from sfumato.hookspecs import hookimpl

SFUMATO_API = "1.0"


@hookimpl
def register_commands(commands):
    commands.add("paint", "painting_commands:paint", label="Paint", summary="Paints the fence.")
    commands.add("torn", "no_such_module:torn", label="Torn", summary="Never there.")
    commands.add("odd", "painting_commands:odd", label="Odd")
    paint = "painting_commands:paint"
    commands.add("wall_paint", paint, label="Paint a wall", group="wall", summary="Paints the wall.")
    commands.add("wall_tear_down", "no_such_module:torn", label="Tear down", group="wall")
    commands.add("generate", "no_such_module:torn", label="Generate otherwise")
"""
COMMANDS = '''
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.output import print_json
from sfumato.errors import BadInput

if TYPE_CHECKING:
    from sfumato.studio import Studio

print("paint is fetched")


def paint(
    studio: Studio,
    fences: Annotated[list[Path], typer.Argument(help="Fences to paint.")],
    colour: Annotated[str, typer.Option(help="Which colour.")] = "white",
    coats: Annotated[int, typer.Option(min=1, max=3)] = 1,
) -> None:
    """Paints fences, in any colour."""
    if colour == "none":
        raise BadInput("There is no such colour.", hint="Take white.")
    if colour == "exit":
        raise typer.Exit(5)
    print_json([[str(path) for path in fences], colour, coats, studio.settings.general.default_model])


def odd(studio, thing: Unknown) -> None:
    pass
'''


@pytest.fixture
def painting(sfumato: Sfumato, install_plugin: InstallPlugin, tmp_path: Path) -> Iterator[Sfumato]:
    install_plugin("painting", PLUGIN)
    (tmp_path / "site" / "painting_commands.py").write_text(COMMANDS)
    yield sfumato
    sys.modules.pop("painting_commands", None)


def test_a_command_gets_its_options_and_the_studio_of_the_run(painting: Sfumato) -> None:
    words = ["--set", "general.default_model=dot", "paint", "a", "b", "--coats", "2"]
    assert painting(*words).json == [["a", "b"], "white", 2, "dot"]


def test_its_help_is_that_of_its_function(painting: Sfumato) -> None:
    outcome = painting("paint", "--help")
    assert outcome.code == 0
    for text in ("Paints fences, in any colour.", "Fences to paint.", "Which colour.", "1<=x<=3"):
        assert text in outcome.out


def test_the_main_help_lists_commands_and_imports_none_of_them(painting: Sfumato) -> None:
    outcome = painting("--help")
    assert outcome.code == 0
    assert "Paints the fence." in outcome.out
    assert "Never there." in outcome.out
    assert "paint is fetched" not in outcome.out + outcome.err
    assert "paint is fetched" in painting("paint", "a").err


def test_a_command_of_ours_is_not_taken_over(painting: Sfumato) -> None:
    assert "Generate otherwise" not in painting("generate", "--help").out
    assert painting("generate", "apple").code == 0


def test_errors_and_exits_end_it_as_any_command(painting: Sfumato) -> None:
    refused = painting("paint", "a", "--colour", "none")
    assert (refused.code, refused.err.splitlines()[-2:]) == (
        2,
        ["Error: There is no such colour.", "Take white."],
    )
    assert painting("paint", "a", "--colour", "exit").code == 5
    assert painting("paint", "a", "--coats", "9").code == 2


@pytest.mark.parametrize("name", ["torn", "odd"])
def test_a_broken_command_is_told_with_its_plugin(painting: Sfumato, name: str) -> None:
    outcome = painting(name)
    assert outcome.code == 1
    assert f"'{name}' from plugin 'painting' cannot be" in outcome.err


def test_a_misspelt_command_of_a_plugin_is_unknown(painting: Sfumato) -> None:
    assert painting("pain").code == 2


def test_the_main_help_waits_but_a_moment_for_a_plugin_that_hangs(
    painting: Sfumato, install_plugin: InstallPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    install_plugin("sleeper", "import time\n\nSFUMATO_API = '1.0'\ntime.sleep(8)\n")
    outcome = painting("--help")
    assert outcome.code == 0
    assert "Paints the fence." in outcome.out
    assert "2 s" in outcome.err + caplog.text


def test_commands_with_one_first_word_are_a_group(painting: Sfumato) -> None:
    outcome = painting("wall", "--help")
    assert outcome.code == 0
    for text in ("Paints the wall.", "tear-down", "Tear down"):
        assert text in outcome.out
    assert "paint is fetched" not in outcome.err
    assert painting("wall", "paint", "a", "--coats", "3").json == [["a"], "white", 3, None]
    assert "Which colour." in painting("wall", "paint", "--help").out


def test_a_group_is_one_word_of_the_main_help(painting: Sfumato) -> None:
    outcome = painting("--help")
    assert outcome.code == 0
    (line,) = (line for line in outcome.out.splitlines() if "Paints the wall. Tear down" in line)
    assert line.strip("│ ").startswith("wall ")
    assert "wall_paint" not in outcome.out
    assert painting("wall_paint", "a").code == 2


def test_a_broken_or_misspelt_command_of_a_group_leaves_the_others(painting: Sfumato) -> None:
    outcome = painting("wall", "tear-down")
    assert outcome.code == 1
    assert "'wall_tear_down' from plugin 'painting' cannot be" in outcome.err
    assert painting("wall", "pain").code == 2
    assert painting("wall", "paint", "a").code == 0
