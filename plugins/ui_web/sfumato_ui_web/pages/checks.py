"""The health checks, run by a process of their own: some import torch, which this one never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from sfumato.settings import Settings, as_text
from sfumato.settings_sources import CONFIG_VARIABLE, PREFIX, SEPARATOR

if TYPE_CHECKING:
    from sfumato.studio import Studio

LONGEST_SECONDS = 300
PROGRAM = "from sfumato.cli.program import run; run()"


class Checks:
    """Runs `sfumato doctor` in the background, one at a time, and keeps what it found last."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._state: Literal["never", "running", "done", "failed"] = "never"
        self._checks: list[dict[str, Any]] = []
        self._problem = ""
        self._at = 0.0

    def start(self) -> None:
        """Begin, unless it is under way; returns at once."""
        with self._lock:
            if self._state == "running":
                return
            self._state = "running"
        threading.Thread(target=self._run, name="sfumato-doctor", daemon=True).start()

    def found(self) -> dict[str, Any]:
        """How it stands, and the findings of the last run."""
        with self._lock:
            return {
                "state": self._state,
                "checks": self._checks,
                "problem": self._problem,
                "at": self._at,
            }

    def _run(self) -> None:
        checks: list[dict[str, Any]] = []
        problem = ""
        try:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, "doctor", "--json"],
                env=environment_of(self._studio.settings),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LONGEST_SECONDS,
                text=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
            checks = json.loads(done.stdout)["checks"]
        except subprocess.TimeoutExpired:
            problem = f"The checks did not end within {LONGEST_SECONDS} seconds."
        except (OSError, ValueError, KeyError) as error:
            problem = f"The checks could not be run: {error}."
        with self._lock:
            self._state = "failed" if problem else "done"
            self._checks, self._problem, self._at = checks, problem, time.time()


def environment_of(settings: Settings) -> dict[str, str]:
    """Variables that give another process the same settings, options of the command line included."""
    chosen = {
        f"{PREFIX}{key.replace('.', SEPARATOR).upper()}": as_text(settings.get(key))
        for key in tuple(settings.keys())
        if settings.where(key).source == "command line"
    }
    return {**os.environ, **chosen, CONFIG_VARIABLE: str(settings.file)}
