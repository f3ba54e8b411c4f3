"""Ctrl-C in the real program: it ends with 130, whole, and keeps what was finished."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other console signals")


def interrupted(arguments: list[str], stream: str, first: str) -> tuple[int, str, str]:
    """Exit code, output and messages of `sfumato`, stopped once a line with `first` came out of `stream`."""
    program = [Path(sys.executable).parent / "sfumato", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program, text=True, **pipes) as process:
        watched = getattr(process, stream)
        seen = next((line for line in watched if first in line), "")
        process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=60)
    return (process.returncode, *((seen + output, messages) if stream == "stdout" else (output, messages)))


def test_stopping_while_the_first_picture_is_drawn(tmp_path: Path) -> None:
    request = ["generate", "a red apple", "--steps", "1000", "--json", "--out", str(tmp_path)]
    code, output, messages = interrupted(request, "stderr", "step ")
    assert code == 130, messages
    assert "Cancelled" in messages
    assert "Traceback" not in messages
    assert output == ""
    assert not list(tmp_path.rglob("*.*"))


def test_stopping_between_pictures_keeps_the_finished_ones(tmp_path: Path) -> None:
    request = ["generate", "a red apple", "--count", "200", "--json", "--out", str(tmp_path)]
    code, output, messages = interrupted(request, "stdout", "path")
    assert code == 130, messages
    records = [json.loads(line) for line in output.splitlines()]
    assert 1 <= len(records) < 200
    for record in records:
        with Image.open(record["path"]) as picture:
            picture.load()
    assert len(list(tmp_path.rglob("*.*"))) == len(records)
