"""The command line as a process: what it imports, how it treats pipes, and its version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sfumato import __version__

from .conftest import Sfumato

RUN = "import sys; from sfumato.cli import main; sys.exit(main(sys.argv[1:]))"


def test_version(sfumato: Sfumato) -> None:
    outcome = sfumato("--version")
    assert (outcome.code, outcome.out) == (0, f"sfumato {__version__}\n")


def test_help_lists_the_commands(sfumato: Sfumato) -> None:
    text = sfumato("--help").out
    for command in ("generate", "samplers", "schedulers", "models", "plugins", "settings", "doctor"):
        assert command in text


def test_a_misspelt_command_offers_the_nearest(sfumato: Sfumato) -> None:
    outcome = sfumato("generat", "apple")
    assert outcome.code == 2
    assert "generate" in outcome.err


@pytest.mark.parametrize("words", [["--help"], ["generate", "--help"], ["plugins"]])
def test_nothing_heavy_is_imported_before_a_command_works(words: list[str]) -> None:
    script = (
        f"import sys; from sfumato.cli import main; code = main({words!r}); "
        "heavy = {'torch', 'numpy', 'PIL', 'transformers', 'tokenizers'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end differently there")
def test_a_reader_that_stops_early_is_no_error() -> None:
    command = [sys.executable, "-c", RUN, "settings", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_any_file_name_can_be_told_in_any_encoding(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, "models", "detect", str(tmp_path / "日本.bin")]
    environment = {"PYTHONIOENCODING": "ascii", "SFUMATO_CONFIG": str(tmp_path / "none.toml")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert "\\u65e5" in done.stderr


def run_with(redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a shell that redirects its streams."""
    script = f'exec "$0" "$@" {redirection}'
    command = ["sh", "-c", script, sys.executable, "-c", RUN, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("words", [["models"], ["settings", "--json"], ["--version"], ["--help"]])
def test_output_that_cannot_be_written_is_an_error_but_no_bug(words: list[str]) -> None:
    done = run_with("> /dev/full", *words)
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-"])
def test_a_closed_stream_is_an_empty_one(redirection: str) -> None:
    assert run_with(redirection, "settings").returncode == 0
    assert run_with(redirection, "settings", "get", "no.such").returncode == 2
