"""The source code of every distribution, read as syntax trees: what the architecture tests judge."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from importlib_metadata import packages_distributions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Import:
    """One import statement's target as a dotted name.

    Attributes:
        at_top: It runs when the module is imported.
        for_types: It stands under ``if TYPE_CHECKING`` and never runs.
    """

    target: str
    line: int
    at_top: bool
    for_types: bool

    @property
    def package(self) -> str:
        return self.target.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """One file."""

    name: str
    path: Path

    @cached_property
    def source(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, str(self.path))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        return tuple(_imports(self.tree, package))

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))


@dataclass(frozen=True)
class Distribution:
    """A folder with a pyproject.toml and one import package."""

    folder: Path
    package: str
    modules: tuple[Module, ...] = field(repr=False)

    @cached_property
    def project(self) -> dict:
        return tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))["project"]

    def requirements(self, *, extras: bool) -> set[str]:
        """Names of the distributions it says it needs."""
        texts = list(self.project.get("dependencies", []))
        if extras:
            texts += [
                text for extra in self.project.get("optional-dependencies", {}).values() for text in extra
            ]
        return {canonicalize_name(Requirement(text).name) for text in texts}

    def __str__(self) -> str:
        return self.folder.name


def _imports(tree: ast.Module, package: str) -> Iterator[Import]:
    stack: list[tuple[ast.AST, bool, bool]] = [(tree, True, False)]
    while stack:
        node, at_top, for_types = stack.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_top, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield from (Import(f"{base}.{a.name}", node.lineno, at_top, for_types) for a in node.names)
        inside_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        type_body = (
            node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
        )
        for child in ast.iter_child_nodes(node):
            stack.append((child, at_top and not inside_function, for_types or child in type_body))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


def distributions() -> list[Distribution]:
    """The kernel and every plugin."""
    folders = [ROOT / "kernel", *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]
    return [_distribution(folder) for folder in folders]


def _distribution(folder: Path) -> Distribution:
    package = "sfumato" if folder.name == "kernel" else f"sfumato_{folder.name}"
    return Distribution(folder, package, tuple(modules_below(folder, package)))


def modules_below(folder: Path, package: str) -> Iterator[Module]:
    """The modules of the folder's sub-folder `package`."""
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield Module(".".join(parts).removesuffix(".__init__"), path)


@cache
def _packages() -> dict[str, list[str]]:
    return dict(packages_distributions())


def distributions_of(package: str) -> set[str]:
    """Which distributions bring an import package.

    Ours, of whose packages editable installs tell nothing, and those that are not installed, go by name.
    """
    if package == "sfumato":
        return {"sfumato-kernel"}
    if package.startswith("sfumato_"):
        return {canonicalize_name(package)}
    return {canonicalize_name(name) for name in _packages().get(package, [package])}


def is_standard(package: str) -> bool:
    return package in sys.stdlib_module_names
