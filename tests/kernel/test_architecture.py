"""The rules of the house, kept by reading the source: who imports whom, what it costs, how long it is."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
import tomllib
import warnings
from graphlib import CycleError, TopologicalSorter

import pytest

from .source_tree import (
    ROOT,
    Distribution,
    Module,
    distributions,
    distributions_of,
    is_standard,
    modules_below,
)

KERNEL, *PLUGINS = distributions()
EVERYTHING = [KERNEL, *PLUGINS]
MODULES = {module.name: module for distribution in EVERYTHING for module in distribution.modules}

NEVER_IN_THE_KERNEL = {"torch", "flask", "diffusers", "transformers", "numpy"}
NO_RUNNING_STUDIO_NEEDS = ("sfumato.doctor", "sfumato.scaffold", "sfumato.testing")
"""Parts of the kernel's distribution for those who look after an installation (decision 0026), or write
plugins (decision 0011)."""
SECOND_SITTING = ("sfumato.jobs", "sfumato.database", "sfumato.memory_log", "sfumato.fetching")
"""Durable work, and what serves programs that outlive a request (decision 0019)."""
NEVER_AT_RUN_TIME = {"diffusers", "transformers", "k_diffusion"}
WIDE_DOOR = {("sfumato_models_diffusers", "diffusers"), ("sfumato_models_diffusers", "transformers")}
"""The plugin whose purpose is to run diffusers' networks."""
HEAVY = {"torch", "numpy", "scipy", "PIL", "flask", "diffusers", "transformers", "safetensors", "tokenizers"}
MAY_PRINT = ("sfumato.cli",)

LONG_FUNCTION, LONGEST_FUNCTION = 80, 100
LONG_FILE, LONGEST_FILE = 400, 800
NEEDS_80_LINES: frozenset[str] = frozenset()
"""Functions past 80 lines that have a reason to be, as ``module.name``."""

each_distribution = pytest.mark.parametrize("distribution", EVERYTHING, ids=str)
each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=str)


def running_imports(distribution: Distribution) -> list[tuple[Module, str, int]]:
    """Module, imported name and line of every import that can run."""
    return [
        (module, item.target, item.line)
        for module in distribution.modules
        for item in module.imports
        if not item.for_types
    ]


def test_the_kernel_knows_no_tensors_and_no_web() -> None:
    found = [
        f"{module}:{line} imports {target}"
        for module, target, line in running_imports(KERNEL)
        if target.partition(".")[0] in NEVER_IN_THE_KERNEL and not module.name.startswith("sfumato.testing")
    ]
    assert not found


def test_a_running_studio_imports_nothing_made_for_writers_of_plugins() -> None:
    found = [
        f"{module}:{item.line} imports {item.target}"
        for module in KERNEL.modules
        for item in module.imports
        if item.target.startswith(NO_RUNNING_STUDIO_NEEDS)
        and not module.name.startswith((*NO_RUNNING_STUDIO_NEEDS, "sfumato.cli"))
    ]
    assert not found


def test_the_contract_suite_imports_tensors_and_pages_only_within_tests() -> None:
    found = [
        f"{module}:{item.line} imports {item.target}"
        for module in KERNEL.modules
        for item in module.imports
        if item.package in NEVER_IN_THE_KERNEL and item.at_top and not item.for_types
    ]
    assert not found


def test_the_kernel_knows_no_plugin() -> None:
    found = [
        f"{module}:{item.line} imports {item.target}"
        for module in KERNEL.modules
        for item in module.imports
        if item.package.startswith("sfumato_")
    ]
    assert not found


@each_distribution
def test_peers_are_oracles_and_never_run(distribution: Distribution) -> None:
    found = [
        f"{module}:{item.line} imports {item.target}"
        for module in distribution.modules
        for item in module.imports
        if item.package in NEVER_AT_RUN_TIME and (distribution.package, item.package) not in WIDE_DOOR
    ]
    assert not found


@each_distribution
def test_everything_imported_is_named_in_the_pyproject(distribution: Distribution) -> None:
    declared = distribution.requirements(extras=True)
    found = [
        f"{module}:{item.line} imports {item.target}"
        for module in distribution.modules
        for item in module.imports
        if item.package != distribution.package
        and not is_standard(item.package)
        and not (item.for_types and item.package == "torch")  # annotations alone need no installation
        and not distributions_of(item.package) & declared
    ]
    assert not found


@each_plugin
def test_a_plugin_imports_only_plugins_that_its_pyproject_names(plugin: Distribution) -> None:
    declared = plugin.requirements(extras=False)
    found = [
        f"{module}:{line} imports {target}"
        for module, target, line in running_imports(plugin)
        if target.startswith("sfumato_")
        and target.partition(".")[0] != plugin.package
        and target.partition(".")[0].replace("_", "-") not in declared
    ]
    assert not found


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: homes_of_top_imports(module) - {name} for name, module in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def homes_of_top_imports(module: Module) -> set[str]:
    targets = [item.target for item in module.imports if item.at_top and not item.for_types]
    return {found for target in targets if (found := home(target))}


def home(target: str) -> str | None:
    """The module of ours that an imported name is, or lies in."""
    if target in MODULES:
        return target
    holder = target.rpartition(".")[0]
    return holder if holder in MODULES else None


FACES = [f"{plugin.package}.plugin" for plugin in PLUGINS]


@pytest.mark.parametrize("module", ["sfumato", "sfumato.cli", "sfumato.studio", *FACES])
def test_importing_costs_nothing_heavy(module: str) -> None:
    if module not in MODULES:
        pytest.skip(f"{module} registers nothing")
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == []


@each_plugin
def test_the_entry_point_is_the_face_of_the_plugin(plugin: Distribution) -> None:
    points = plugin.project.get("entry-points", {}).get("sfumato", {})
    expected = (
        {plugin.folder.name: f"{plugin.package}.plugin"} if f"{plugin.package}.plugin" in MODULES else {}
    )
    assert points == expected


@each_distribution
def test_only_the_command_line_prints(distribution: Distribution) -> None:
    found = [
        f"{module}:{node.lineno}"
        for module in distribution.modules
        if not module.name.startswith(MAY_PRINT)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not found


@each_distribution
def test_functions_and_files_stay_short(distribution: Distribution) -> None:
    modules = list(distribution.modules)
    modules += modules_below(distribution.folder, "training")
    lengths = {
        f"{module.name}.{node.name}": node.end_lineno - node.lineno + 1
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None
    }
    assert not {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION}
    assert not {name: n for name, n in lengths.items() if n > LONG_FUNCTION and name not in NEEDS_80_LINES}
    lines = {str(module): len(module.source.splitlines()) for module in modules}
    assert not {name: n for name, n in lines.items() if n > LONGEST_FILE}
    for name, count in lines.items():
        if count > LONG_FILE:
            with warnings.catch_warnings():
                warnings.simplefilter("always")  # told, not failed
                warnings.warn(f"{name} has {count} lines; {LONG_FILE} are enough for one idea", stacklevel=1)


def test_the_kernel_can_be_read_in_one_sitting() -> None:
    apart = ("sfumato.cli", "sfumato.request", "sfumato.memory", *SECOND_SITTING, *NO_RUNNING_STUDIO_NEEDS)
    read = [module for module in KERNEL.modules if not module.name.startswith(apart)]
    assert sum(lines_of_code(module) for module in read) <= 3000  # decisions 0012, 0017, 0019 and 0026


def test_the_queue_can_be_read_in_another_sitting() -> None:
    here = ("sfumato.memory", *SECOND_SITTING)
    read = [module for module in KERNEL.modules if module.name.startswith(here)]
    assert sum(lines_of_code(module) for module in read) <= 2500


def test_the_kernel_does_without_the_queue() -> None:
    found = [
        f"{module}:{item.line} imports {item.target}"
        for module in KERNEL.modules
        for item in module.imports
        if item.target.startswith(SECOND_SITTING)
        and not item.for_types
        and not module.name.startswith((*SECOND_SITTING, "sfumato.cli"))
        and module.name != "sfumato.studio"
    ]
    assert not found


def lines_of_code(module: Module) -> int:
    """Lines that hold more than comments and docstrings."""
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(module.source).readline)
        if token.type not in silent and token.string
        for line in range(token.start[0], token.end[0] + 1)
    }
    docstrings = {
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return len(code - docstrings)


def test_every_distribution_has_the_same_version_python_and_licence() -> None:
    projects = [distribution.project for distribution in EVERYTHING]
    same = {(project["version"], project["requires-python"], project["license"]) for project in projects}
    assert same == {("0.1.0", ">=3.11", "Apache-2.0")}


def test_the_workspace_brings_every_plugin() -> None:
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {text.partition("==")[0] for text in workspace["dependencies"]}
    assert named == {distribution.project["name"] for distribution in EVERYTHING}
