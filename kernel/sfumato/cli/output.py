"""Tables for people, JSON for scripts, errors in three lines. Data goes to stdout, all else to stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from sfumato.errors import SfumatoError
from sfumato.watchdog import in_one_line


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """One JSON value on one line, in ASCII, so that any terminal, pipe or file can carry it."""
    print(json.dumps(_plain(value), default=str), file=stream, flush=True)


def only_data_on_stdout() -> contextlib.redirect_stdout[TextIO]:
    """Within this, what plugins print goes to stderr: a script reads the output."""
    return contextlib.redirect_stdout(sys.stderr)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: ruled and wrapped in a terminal, aligned columns of plain text anywhere else."""
    shown = [[_one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_ruled(headers, shown)
        return
    widths = [max(map(len, column)) for column in zip(headers, *shown, strict=True)]
    for row in [headers, *shown]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_ruled(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*headers, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(table)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Name and value pairs, the values aligned; pairs without a value are left out."""
    shown = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        indented = printable(value).replace("\n", "\n" + " " * (width + 2))
        print(f"{name.ljust(width)}  {indented}")


def print_lines(*lines: str) -> None:
    """Text that is data, a line each."""
    for line in lines:
        print(printable(line))


def say(text: str) -> None:
    """A line to the user that is no data."""
    print(printable(text), file=sys.stderr, flush=True)


def report_error(error: SfumatoError, *, with_traceback: bool = False) -> None:
    """What happened, why, and what to do: a line each; the traceback before them for those who asked."""
    if with_traceback:
        say_traceback(error)
    say("\n".join(part for part in (f"Error: {error.what}", error.why, error.hint) if part))


def report_bug(error: BaseException, *, with_traceback: bool) -> None:
    """An error that nobody foresaw: one line, and the traceback for those who asked for more."""
    if with_traceback:
        say_traceback(error)
    advice = "" if with_traceback else " 'sfumato -v ...' shows where it happened."
    say(f"Error: {in_one_line(error)}\nThis is a bug in Sfumato or in a plugin.{advice}")


def say_traceback(error: BaseException) -> None:
    """Where it happened, for those who asked for more."""
    import traceback

    say("".join(traceback.format_exception(error)).rstrip())


class PrintableFormatter(logging.Formatter):
    """Log lines that cannot drive the terminal either: they quote plugins and files."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_stderr(level: int, form: str) -> None:
    """Show log messages from `level` up, each in the given form."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])


def printable(text: str) -> str:
    """Text that cannot drive the terminal: control characters are shown as escapes."""
    return "".join(char if char.isprintable() or char in "\n\t" else _escaped(char) for char in text)


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def human_size(size_bytes: float) -> str:
    """1536 -> "1.5 KB" (a KB has 1024 bytes)."""
    for unit in ("B", "KB", "MB", "GB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TB"
