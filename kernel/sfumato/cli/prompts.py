"""Where prompts come from: arguments, a file, standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from sfumato.errors import BadInput

STDIN = "-"


def collect_prompts(arguments: list[str], file: Path | None) -> list[str]:
    """All prompts, the arguments first; piped input is read for the argument '-' or when nothing is given.

    Raises:
        BadInput: there is no prompt, or what should be read is no text.
    """
    prompts: list[str] = []
    for argument in arguments:
        prompts += _prompt_lines(_read_stdin()) if argument == STDIN else [argument]
    if file is not None:
        prompts += _prompt_lines(_read_file(file))
    if not arguments and file is None and not sys.stdin.isatty():
        prompts = _prompt_lines(_read_stdin())
    if not prompts:
        raise BadInput(
            "There is no prompt.",
            hint='Give one: sfumato generate "a red apple"; or --file FILE; or pipe lines in.',
        )
    return prompts


def _prompt_lines(text: str) -> list[str]:
    """One prompt a line; blank lines and those starting with # are skipped."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _read_stdin() -> str:
    return _as_text(sys.stdin.buffer.read(), "The input")


def _as_text(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{source} is not text in UTF-8.", why=f"{error}.", hint="Save it as UTF-8."
        ) from error


def _read_file(file: Path) -> str:
    try:
        return _as_text(file.expanduser().read_bytes(), f"'{file}'")
    except OSError as error:
        raise BadInput(
            f"'{file}' cannot be read.", why=f"{error.strerror}.", hint="Check the path."
        ) from error
