"""What `sfumato doctor` finds out: the kernel's own checks, and those that plugins register."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from sfumato.checks import Check, CheckInfo, CheckResult
from sfumato.errors import SfumatoError
from sfumato.machine import machine_memory
from sfumato.plugins import PluginState
from sfumato.registry import Entry
from sfumato.settings import as_text
from sfumato.watchdog import call_within, in_one_line

if TYPE_CHECKING:
    from sfumato.settings import Settings
    from sfumato.studio import Studio

LEAST_PYTHON = (3, 10)
SCARCE_BYTES = 1 << 30
"""Below this a disk is told of as nearly full."""


class Diagnosis(BaseModel):
    """What one check found; `plugin` is empty for the kernel's own."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    plugin: str = ""
    results: tuple[CheckResult, ...] = ()


def examine(studio: Studio) -> list[Diagnosis]:
    """Run every check, the kernel's first; those of plugins within the patience that plugins are given.

    A check that raises, hangs or returns anything else than results is itself reported as a problem.
    """
    own: tuple[tuple[str, str, Check], ...] = (
        ("system", "System", check_system),
        ("plugins", "Plugins", check_plugins),
        ("settings", "Settings", check_settings),
        ("folders", "Folders", check_folders),
        ("models", "Models", check_models),
    )
    diagnoses = [_diagnosis(name, label, "", partial(check, studio)) for name, label, check in own]
    for entry in studio.registries.checks:
        work = partial(call_within, studio.settings.plugins.patience, partial(_run, entry, studio))
        diagnoses.append(_diagnosis(entry.info.name, entry.info.label, entry.plugin, work))
    return diagnoses


def _run(entry: Entry[CheckInfo], studio: Studio) -> list[CheckResult]:
    return list(entry.load()(studio))


def _diagnosis(name: str, label: str, plugin: str, work: Callable[[], list[CheckResult]]) -> Diagnosis:
    try:
        return Diagnosis(name=name, label=label, plugin=plugin, results=tuple(work()))
    except KeyboardInterrupt:
        raise
    except SfumatoError as error:
        result = _problem("Check", error)
    except BaseException as error:  # whatever a plugin raises, exit() too
        disable = f"Report it, or switch the plugin off: sfumato plugins disable {plugin}"
        result = CheckResult(
            label="Check",
            state="problem",
            detail=f"It failed: {in_one_line(error)}.",
            hint=disable if plugin else "Report it.",
        )
    return Diagnosis(name=name, label=label, plugin=plugin, results=(result,))


def _problem(label: str, error: SfumatoError) -> CheckResult:
    return CheckResult(
        label=label, state="problem", detail=f"{error.what} {error.why}".strip(), hint=error.hint
    )


def check_system(studio: Studio) -> list[CheckResult]:
    """Sfumato's and Python's versions, and the memory."""
    from sfumato import __version__

    old = sys.version_info < LEAST_PYTHON
    needed = ".".join(map(str, LEAST_PYTHON))
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [
        CheckResult(label="Sfumato", detail=__version__),
        CheckResult(
            label="Python",
            state="problem" if old else "ok",
            detail=python,
            hint=f"Install Python {needed} or newer." if old else "",
        ),
        _memory(),
    ]


def _memory() -> CheckResult:
    memory = machine_memory()
    return CheckResult(
        label="Memory", detail=f"{_gigabytes(memory.available)} of {_gigabytes(memory.total)} free"
    )


def check_plugins(studio: Studio) -> list[CheckResult]:
    """Each plugin's state; a quarantined one is a problem."""
    results = []
    for record in studio.plugins:
        if record.state is PluginState.QUARANTINED:
            detail = f"quarantined at {record.stage}: {record.problem}"
            hint = f"{record.advice} 'sfumato plugins show {record.name}' tells more."
            results.append(CheckResult(label=record.name, state="problem", detail=detail, hint=hint))
        else:
            detail = f"{record.state.value}, {record.distribution} {record.version}".strip()
            results.append(CheckResult(label=record.name, detail=detail))
    if results:
        return results
    return [
        CheckResult(
            label="None",
            state="problem",
            detail="No plugin is installed.",
            hint="Install them: pip install sfumato",
        )
    ]


def check_settings(studio: Studio) -> list[CheckResult]:
    """What is wrong in the settings, then every setting in force and where it comes from."""
    settings = studio.settings
    keys = list(settings.keys())
    results = [_problem("Wrong", problem) for problem in settings.problems]
    results.append(CheckResult(label="File", detail=_file_detail(settings)))
    results += [
        CheckResult(label=key, detail=f"{as_text(settings.get(key))} ({settings.where(key)})") for key in keys
    ]
    results += [
        CheckResult(
            label=key,
            state="warning",
            detail=f"No loaded plugin has this section; {origin}.",
            hint=f"Its plugin may be disabled; or remove it: sfumato settings unset {key}",
        )
        for key, origin in settings.unused_keys().items()
    ]
    return results


def _file_detail(settings: Settings) -> str:
    return str(settings.file) if settings.file.exists() else f"{settings.file} (not written yet)"


def check_folders(studio: Studio) -> list[CheckResult]:
    """Whether pictures can be saved, whether the model folders can be read, and the space left."""
    general = studio.settings.general
    output = _folder(
        "Output folder", general.output_folder, "Set another: sfumato settings set general.output_folder"
    )
    return [output, *(_model_folder(folder) for folder in general.model_folders)]


def _model_folder(folder: Path) -> CheckResult:
    label = "Model folder"
    if not folder.exists():
        return CheckResult(
            label=label, detail=f"{folder} does not exist yet; no models are looked for there."
        )
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        hint = "Give yourself the right to read it, or set others: sfumato settings set general.model_folders"
        return CheckResult(label=label, state="problem", detail=f"{folder} cannot be read.", hint=hint)
    return _folder(
        label, folder, "Downloads into it would fail; give yourself the right to write it.", "warning"
    )


def _folder(label: str, folder: Path, hint: str, if_not_writable: str = "problem") -> CheckResult:
    existing = next(
        (path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()), folder
    )
    problem = _writing_problem(existing)
    if problem:
        state = {"state": if_not_writable, "detail": f"{folder} cannot be written: {problem}.", "hint": hint}
        return CheckResult.model_validate({"label": label, **state})
    free = shutil.disk_usage(existing).free
    detail = f"{folder}, {_gigabytes(free)} free"
    if free < SCARCE_BYTES:
        return CheckResult(
            label=label, state="warning", detail=detail, hint="The disk is nearly full; make room."
        )
    return CheckResult(label=label, detail=detail)


def _writing_problem(folder: Path) -> str:
    """Why nothing can be written there, or nothing; found by trying, as rights alone do not tell."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def check_models(studio: Studio) -> list[CheckResult]:
    """The models found, and the files that are damaged or unknown."""
    library = studio.library
    found = library.models()
    results = [
        CheckResult(label=info.name, detail=f"{info.family} {info.variant}, {info.path}".replace(" ,", ","))
        for info in found
    ]
    if not found:
        hint = (
            "Put a checkpoint into a model folder, or bring the embedded one: pip install sfumato-model-emoji"
        )
        results.append(CheckResult(label="None", state="problem", detail="No model was found.", hint=hint))
    for path, error in library.problems.items():
        detail = f"{path}: {error.what} {error.why}".strip()
        results.append(CheckResult(label=path.name, state="warning", detail=detail, hint=error.hint))
    return results


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GB"
