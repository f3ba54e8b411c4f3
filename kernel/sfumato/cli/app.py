"""The `sfumato` command: global options, the command groups, and how errors end it."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sfumato.cli import (
    doctor,
    generate,
    jobs,
    models,
    output,
    plugin_commands,
    plugins,
    replay,
    samplers,
    settings,
)
from sfumato.cli.session import Session
from sfumato.errors import Cancelled, SfumatoError

if TYPE_CHECKING:
    from sfumato.studio import Studio


HELP_PATIENCE = "2"
"""Seconds that the main help, which only lists their commands, waits for a plugin that hangs."""


class SfumatoGroup(TyperGroup):
    """Fills the session from the global options, and builds a command when it is called for.

    The options of `generate` depend on the installed model families, and commands of plugins are imported:
    the main help does neither, and is shown whatever is broken.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        session: Session = ctx.obj
        session.use(ctx.params)
        name, command, rest = super().resolve_command(ctx, args)
        if name == generate.NAME:
            command = generate.build_command(session.studio())
        elif name and super().get_command(ctx, name) is None:
            command = plugin_commands.build_command(session.studio(), name)
        return name, command, rest

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of ours, or else what stands in for one that a plugin brings."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or not isinstance(ctx.obj, Session):
            return own
        return plugin_commands.stand_in(ctx.obj.studio(), cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours, then those of plugins; help is shown even where the studio cannot start."""
        own = super().list_commands(ctx)
        if not isinstance(ctx.obj, Session):
            return own
        ctx.obj.overrides.setdefault("plugins.patience", HELP_PATIENCE)
        try:
            studio = ctx.obj.studio(lenient=True)
        except (SfumatoError, OSError):
            return own
        return [*own, *plugin_commands.names(studio)]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader has seen enough ('| head'): no error
            raise typer.Exit(0) from None
        except KeyboardInterrupt as interrupt:  # typer would not tell where it was
            if ctx.obj.verbose:
                output.say_traceback(interrupt)
            raise


def build_app(studio: Studio | None = None) -> typer.Typer:
    """The whole command line.

    Args:
        studio: When given, `generate` has its options at once, as documentation needs it.
    """
    app = typer.Typer(
        cls=SfumatoGroup,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(global_options)
    generate.add_to(app, studio)
    for module in (replay, jobs, samplers, models, plugins, settings, doctor):
        module.add_to(app)
    if studio is not None:
        plugin_commands.add_to(app, studio)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from sfumato import __version__

        print(f"sfumato {__version__}")
        raise typer.Exit


def global_options(
    config: Annotated[
        Path | None,
        typer.Option(help="The settings file to use; or name it by SFUMATO_CONFIG.", metavar="FILE"),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting for this run, such as engine.device=cpu."),
    ] = None,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, show_default=False, help="Tell more; twice tells everything."
        ),
    ] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Sfumato: a studio for diffusion image generation."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    output.log_to_stderr(level, "%(levelname)s %(name)s: %(message)s" if verbose else "%(message)s")


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: The words after the program's name; by default those of this process.

    Returns:
        The exit code: 0 done, 1 failed, 2 bad input, 130 cancelled.
    """
    _open_closed_streams()
    _write_any_text()
    session = Session()
    try:
        typer.main.get_command(build_app()).main(
            args=None if args is None else list(args), prog_name="sfumato", obj=session
        )
    except SystemExit as exit_request:
        code = exit_request.code if isinstance(exit_request.code, int) else int(exit_request.code is not None)
    except SfumatoError as error:
        output.report_error(error, with_traceback=session.verbose > 0)
        code = error.exit_code
    except KeyboardInterrupt:
        code = Cancelled.exit_code
    except OSError as error:
        output.report_error(SfumatoError("The system refused something.", why=f"{error}."))
        code = 1
    except BaseException as error:  # of a plugin's own making, too
        output.report_bug(error, with_traceback=session.verbose > 0)
        code = 1
    return _closed_quietly(code)


def _open_closed_streams() -> None:
    """A program started without a standard stream (`<&-`, some services) finds an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open to the end


def _write_any_text() -> None:
    """File names and prompts may hold what the terminal's encoding cannot: escape it rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _closed_quietly(code: int) -> int:
    """Flush stdout; when its reader is gone or its disk full, nothing more is tried at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno != errno.EPIPE:
            output.report_error(SfumatoError("Not all could be written.", why=f"{error.strerror}."))
            code = code or 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
