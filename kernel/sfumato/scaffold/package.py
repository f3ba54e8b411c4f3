"""From templates to a package on disk, whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Literal

from sfumato import __version__
from sfumato.errors import BadInput, SfumatoError
from sfumato.hookspecs import KERNEL_API
from sfumato.scaffold.names import PluginName

Kind = Literal["sampler", "scheduler", "model", "trainer", "stage", "page"]

HOOKS: dict[Kind, str] = {
    "sampler": "register_samplers",
    "scheduler": "register_schedulers",
    "model": "register_model_families",
    "trainer": "register_trainers",
    "stage": "register_stages",
    "page": "register_pages",
}
"""The hook that a package of each kind implements."""
REQUIREMENTS: dict[Kind, tuple[str, ...]] = {
    "sampler": ("torch>=2.6",),
    "scheduler": (),
    "model": ("pydantic>=2.10", "torch>=2.6"),
    "trainer": ("pillow>=11", "safetensors>=0.5", "torch>=2.6"),
    "stage": ("torch>=2.6",),
    "page": ("flask>=3",),
}
"""What the package imports besides the kernel."""
TEST_REQUIREMENTS: dict[Kind, tuple[str, ...]] = {
    "scheduler": ("sfumato-kernel[testing]",),
    "model": ("safetensors>=0.5", "sfumato-kernel[testing-tensors]", "sfumato-networks"),
    "page": ("sfumato-kernel[testing-pages]",),
}
"""What its tests need besides, where it is not just the contract of things that work on tensors."""

PACKAGE, NAME = "PACKAGE", "NAME"
"""Folders of the templates that are called otherwise in each package."""
ENDING = ".template"
"""Of every template: what they hold is no Python, TOML or Markdown until it is filled in."""


def write_package(name: PluginName, kind: Kind, folder: Path) -> Path:
    """Write a package of that kind into a new sub-folder of `folder`.

    Returns:
        The new folder, named like the distribution.

    Raises:
        BadInput: something of that name is there already; nothing is touched then.
        SfumatoError: it cannot be written; nothing is left behind then.
    """
    final = folder / name.distribution
    if final.exists() or final.is_symlink():
        raise BadInput(
            f"'{final}' exists already.",
            why="Nothing is ever written over.",
            hint="Choose another name, or another folder with --out.",
        )
    partial = folder / f".{name.distribution}.{secrets.token_hex(4)}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        for path, text in package_files(name, kind).items():
            target = partial / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8", newline="\n")
        os.rename(partial, final)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise SfumatoError(
            f"The package cannot be written to '{folder}'.",
            why=f"{error.strerror or error}.",
            hint="Name another folder with --out.",
        ) from error
    return final


def package_files(name: PluginName, kind: Kind) -> dict[str, str]:
    """The text of every file of a package by its path in the package's folder, with "/" between."""
    names = {
        "name": name.text,
        "distribution": name.distribution,
        "package": name.package,
        "label": name.label,
        "class_name": name.class_name,
        "kind": kind,
        "api": ".".join(map(str, KERNEL_API)),
        "requirements": _quoted(f"sfumato-kernel>={__version__}", *REQUIREMENTS[kind]),
        "test_requirements": _quoted(*TEST_REQUIREMENTS.get(kind, ("sfumato-kernel[testing-tensors]",))),
    }
    templates = files("sfumato.scaffold") / "templates"
    found = {**dict(_below(templates / "all")), **dict(_below(templates / kind))}
    return {
        path.replace(PACKAGE, name.package).replace(NAME, name.text): Template(text).substitute(names)
        for path, text in sorted(found.items())
    }


def _quoted(*requirements: str) -> str:
    return ", ".join(f'"{requirement}"' for requirement in requirements)


def _below(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every template of a folder."""
    for item in folder.iterdir():
        if item.is_dir():
            yield from _below(item, f"{prefix}{item.name}/")
        elif item.name.endswith(ENDING):
            yield f"{prefix}{item.name.removesuffix(ENDING)}", item.read_text("utf-8")
