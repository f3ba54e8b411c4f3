"""A hook is documented by a call that works, has a user, and is exercised here: else the build fails."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from sfumato import hookspecs
from sfumato.plugins import PluginManager, PluginState, hook_names
from sfumato.registries import Registries

from .conftest import InstallPlugin

ROOT = Path(__file__).resolve().parents[2]
HOOKS = hook_names()


def documented_call(hook: str) -> ast.Call:
    """The call form in a hook's docstring, which begins a sentence: ``things.add(name, target, ...)``."""
    found = re.search(r"``(\w+\.add\(.*?\))``", inspect.getdoc(getattr(hookspecs, hook)) or "", re.DOTALL)
    assert found, f"the docstring of {hook} has no call form"
    return typing.cast("ast.Call", ast.parse(found[1], mode="eval").body)


def description_of(hook: str) -> type[BaseModel]:
    """The type that holds the description of what a hook registers."""
    return typing.get_args(typing.get_type_hints(Registries)[hook.removeprefix("register_")])[0]


def implementations(hook: str) -> list[Path]:
    """The plugins and examples of this repository that implement a hook."""
    sources = [*ROOT.glob("plugins/*/sfumato_*/plugin.py"), *ROOT.glob("examples/*/**/*.py")]
    return [
        path
        for path in sources
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and node.name == hook
        and [ast.unparse(decorator) for decorator in node.decorator_list] == ["hookimpl"]
    ]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_documented_call_names_the_parameter_and_fields_that_there_are(hook: str) -> None:
    call = documented_call(hook)
    (parameter,) = inspect.signature(getattr(hookspecs, hook)).parameters
    assert ast.unparse(call.func) == f"{parameter}.add"
    given = {keyword.arg for keyword in call.keywords}
    fields = description_of(hook).model_fields
    assert given <= set(fields)
    assert {name for name, field in fields.items() if field.is_required()} <= given | {"name"}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_plugin_that_makes_the_documented_call_is_heard(hook: str, install_plugin: InstallPlugin) -> None:
    call = documented_call(hook)
    call.args = [ast.Constant("probe_of_the_hook"), ast.Constant("sfumato.request:RequestDefaults")]
    call.keywords = [item for item in call.keywords if ast.unparse(item.value) != "..."]
    call.keywords.append(ast.keyword("label", ast.Constant("Probe of the hook")))
    parameter = ast.unparse(call.func).partition(".")[0]
    install_plugin(
        "probe",
        f"""
        from sfumato.hookspecs import hookimpl

        SFUMATO_API = "1.0"

        @hookimpl
        def {hook}({parameter}):
            {ast.unparse(call)}
        """,
    )
    manager, registries = PluginManager(), Registries()
    manager.discover()
    manager.fill(registries)
    assert manager.get("probe").state is PluginState.ACTIVE, manager.get("probe").traceback
    assert registries.for_hook(hook).get("Probe of the Hook").plugin == "probe"  # type: ignore[union-attr]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_user_in_this_repository(hook: str) -> None:
    assert implementations(hook)
