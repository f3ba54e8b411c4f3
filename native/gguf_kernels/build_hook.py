"""Compiles the C sources with the system's compiler while the wheel is built."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = (
    *("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno", "-Wno-psabi"),
)
VARIANTS = {
    "baseline": (),
    "avx2": ("-mavx2", "-mfma", "-mf16c"),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mf16c"),
}
"""Those after the first run on x86-64 alone, and only where the processor has them."""


class CompilingBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the shared library into the package and the platform into the wheel's name."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="gguf-kernels-")  # until the wheel is made
        library = Path(self._folder.name) / f"kernels{'.dll' if os.name == 'nt' else '.so'}"
        compile_library(Path(self.root) / "src", library)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"
        build_data["force_include"][str(library)] = f"sfumato_gguf_kernels/{library.name}"


def compile_library(sources: Path, library: Path) -> None:
    """Compile every variant and link them.

    Raises:
        FileNotFoundError: there is no C compiler; CC names one.
        subprocess.CalledProcessError: it failed.
    """
    compiler = shlex.split(os.environ.get("CC") or "cc")
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    objects, running = [], []
    for name, flags in VARIANTS.items() if on_x86 else [("baseline", ())]:
        made = library.with_name(f"{name}.o")
        command = [*compiler, *FLAGS, *flags, f"-DVARIANT={name}", "-c", str(sources / "variant.c")]
        running.append(subprocess.Popen([*command, "-o", str(made)]))
        objects.append(str(made))
    for process in running:
        process.wait()
    for process in running:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
    subprocess.run(
        [*compiler, *FLAGS, "-shared", "-o", str(library), str(sources / "library.c"), *objects], check=True
    )


def platform_tag() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
