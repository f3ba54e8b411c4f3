"""Registries refuse duplicates, survive a failed add unchanged, and know the contributor."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from sfumato.cli import main
from sfumato.errors import BadInput, PluginError, UnknownName
from sfumato.registries import Registries
from sfumato.registry import Registry
from sfumato.sampling import SamplerInfo


@pytest.fixture
def samplers() -> Registry[SamplerInfo]:
    registry = Registry("sampler", SamplerInfo, listing="sfumato samplers")
    registrar = registry.registrar("classics")
    registrar.add("euler_ancestral", "json:dumps", label="Euler a", aliases=("sample_euler_ancestral",))
    registrar.commit()
    return registry


@pytest.mark.parametrize("spelling", ["euler_ancestral", "Euler a", "EULER A", " sample_euler_ancestral "])
def test_name_label_and_alias_find_the_same_entry(samplers: Registry[SamplerInfo], spelling: str) -> None:
    assert samplers.get(spelling).info.name == "euler_ancestral"


def test_an_unknown_name_offers_the_nearest(samplers: Registry[SamplerInfo]) -> None:
    with pytest.raises(UnknownName, match="Did you mean Euler a") as caught:
        samplers.get("Euler b")
    assert caught.value.exit_code == 2


def test_an_unknown_name_tells_the_command_that_lists_them(samplers: Registry[SamplerInfo]) -> None:
    with pytest.raises(UnknownName, match="'sfumato samplers' lists them all"):
        samplers.get("swirl")


def test_where_no_plugin_brings_any_that_is_what_is_told() -> None:
    with pytest.raises(UnknownName, match="No installed plugin brings any stage: see 'sfumato plugins'"):
        Registries().stages.get("grain")


def test_where_no_plugin_in_use_brings_any_those_that_might_are_named() -> None:
    stages = Registries().stages
    stages.absent = ("asleep", "torn")
    told = "No active plugin brings any stage: see 'sfumato plugins'. It may come from .*: asleep, torn"
    with pytest.raises(UnknownName, match=told):
        stages.get("grain")


def test_where_only_others_are_known_its_plugin_may_not_be_installed() -> None:
    stages = Registries().stages
    registrar = stages.registrar("darkroom")
    registrar.add("blur", "json:dumps", label="Blur", at="picture")
    registrar.commit()
    with pytest.raises(UnknownName, match="may not be installed: 'sfumato plugins' lists") as caught:
        stages.get("grain")
    assert "brings any" not in caught.value.hint


NEEDED = {
    "stages": {"at": "picture"},
    "queries": {"request": "json:dumps"},
    "panels": {"page": "generate"},
    "routes": {"address": "/known"},
}
"""Fields that a description cannot do without, beside name and label."""


@pytest.mark.parametrize("things", [field.name for field in dataclasses.fields(Registries)])
@pytest.mark.parametrize("anything_known", [True, False])
def test_every_command_that_a_hint_names_is_there(things: str, anything_known: bool) -> None:
    registry = getattr(Registries(), things)
    if anything_known:
        registrar = registry.registrar("some_plugin")
        registrar.add("known", "json:dumps", label="Known", **NEEDED.get(things, {}))
        registrar.commit()
    with pytest.raises(UnknownName) as caught:
        registry.get("unknown_thing")
    (command,) = re.findall(r"'sfumato (\w+)'", caught.value.hint)
    assert main([command, "--help"]) == 0


@pytest.mark.parametrize("name", ["Euler", "euler-a", "", "2m"])
def test_names_must_be_lower_snake(samplers: Registry[SamplerInfo], name: str) -> None:
    with pytest.raises(BadInput, match="lower_snake"):
        samplers.registrar("other").add(name, "json:dumps", label="x")


def test_a_clash_anywhere_in_a_plugin_adds_none_of_its_entries(samplers: Registry[SamplerInfo]) -> None:
    registrar = samplers.registrar("late")
    registrar.add("fresh", "json:dumps", label="Fresh")
    registrar.add("stale", "json:dumps", label="Euler A")
    with pytest.raises(BadInput, match="'classics' already registered it"):
        registrar.commit()
    assert [entry.info.name for entry in samplers] == ["euler_ancestral"]


def test_one_plugin_cannot_add_a_name_twice(samplers: Registry[SamplerInfo]) -> None:
    registrar = samplers.registrar("late")
    registrar.add("twice", "json:dumps", label="A")
    registrar.add("twice", "json:dumps", label="B")
    with pytest.raises(BadInput, match="taken"):
        registrar.commit()


def test_withdrawing_a_plugin_frees_its_names(samplers: Registry[SamplerInfo]) -> None:
    samplers.withdraw("classics")
    assert len(samplers) == 0
    assert "Euler a" not in samplers


def test_code_named_by_text_is_imported_on_use(samplers: Registry[SamplerInfo]) -> None:
    assert samplers.get("euler_ancestral").load()([1]) == "[1]"


@pytest.mark.parametrize(
    "target", ["no_such_module:x", "json:no_such_function", "json", "antigravity_ruins:x"]
)
def test_code_that_is_not_there_names_the_plugin(
    samplers: Registry[SamplerInfo], target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "antigravity_ruins.py").write_text("undefined_name", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    registrar = samplers.registrar("hollow")
    registrar.add("hollow", target, label="Hollow")
    registrar.commit()
    with pytest.raises(PluginError, match="plugin 'hollow'"):
        samplers.get("hollow").load()


def replacing(registry: Registry[SamplerInfo], plugin: str, name: str, **fields: Any) -> dict[str, Exception]:
    registrar = registry.registrar(plugin)
    registrar.replace(name, "json:loads", **fields)
    registrar.commit()
    return registry.settle()


def test_a_replaced_entry_keeps_what_is_not_said_anew(samplers: Registry[SamplerInfo]) -> None:
    assert not replacing(samplers, "better", "euler_ancestral", order=2)
    entry = samplers.get("sample_euler_ancestral")
    assert (entry.plugin, entry.replaces, entry.target) == ("better", "classics", "json:loads")
    assert (entry.info.label, entry.info.order) == ("Euler a", 2)
    assert len(samplers) == 1


def test_a_replacement_with_aliases_of_its_own_is_not_found_by_the_old_ones(
    samplers: Registry[SamplerInfo],
) -> None:
    replacing(samplers, "better", "euler_ancestral", aliases=("k_euler_a",))
    assert samplers.get("k_euler_a").plugin == "better"
    assert "sample_euler_ancestral" not in samplers


def test_what_was_replaced_is_back_when_the_other_plugin_is_taken_out(
    samplers: Registry[SamplerInfo],
) -> None:
    before = samplers.get("Euler a")
    replacing(samplers, "better", "euler_ancestral", label="Euler b", aliases=())
    samplers.withdraw("better")
    assert samplers.get("sample_euler_ancestral") == before
    assert "Euler b" not in samplers
    assert not samplers.settle()


def test_names_that_a_replacement_gave_up_stay_kept_for_what_comes_back(
    samplers: Registry[SamplerInfo],
) -> None:
    replacing(samplers, "better", "euler_ancestral", aliases=())
    registrar = samplers.registrar("other")
    registrar.add("other", "json:dumps", label="Other", aliases=("sample_euler_ancestral",))
    with pytest.raises(BadInput, match="taken"):
        registrar.commit()


def test_replacing_comes_before_or_after_adding(samplers: Registry[SamplerInfo]) -> None:
    registrar = samplers.registrar("aaa")
    registrar.replace("swirl", "json:loads", label="Better swirl")
    registrar.commit()
    later = samplers.registrar("zzz")
    later.add("swirl", "json:dumps", label="Swirl", aliases=("k_swirl",))
    later.commit()
    assert not samplers.settle()
    assert samplers.get("k_swirl").info.label == "Better swirl"


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("euler_b", {}, "no sampler named 'euler_b'. Did you mean euler_ancestral"),
        ("sample_euler_ancestral", {}, "no sampler named"),
        ("euler_ancestral", {"label": 5}, "label"),
        ("euler_ancestral", {"aliases": ("heun",)}, "'heun' is taken"),
    ],
)
def test_what_cannot_be_replaced_is_told_and_leaves_the_old_entry(
    samplers: Registry[SamplerInfo], name: str, fields: dict[str, Any], told: str
) -> None:
    registrar = samplers.registrar("third")
    registrar.add("heun", "json:dumps", label="Heun")
    registrar.commit()
    failures = replacing(samplers, "better", name, **fields)
    assert told in str(failures["better"])
    samplers.withdraw("better")
    assert not samplers.settle()
    assert samplers.get("Euler a").plugin == "classics"


def test_a_plugin_does_not_replace_its_own(samplers: Registry[SamplerInfo]) -> None:
    assert "its own" in str(replacing(samplers, "classics", "euler_ancestral")["classics"])


def test_only_one_plugin_replaces_an_entry(samplers: Registry[SamplerInfo]) -> None:
    replacing(samplers, "better", "euler_ancestral")
    registrar = samplers.registrar("best")
    registrar.replace("euler_ancestral", "json:loads")
    with pytest.raises(BadInput, match="'better' replaces it; 'best' wants to as well"):
        registrar.commit()


def test_after_the_commit_nothing_more_is_taken(samplers: Registry[SamplerInfo]) -> None:
    registrar = samplers.registrar("late")
    registrar.commit()
    for call in (registrar.add, registrar.replace):
        with pytest.raises(PluginError, match="registration is over"):
            call("late", "json:dumps", label="Late")


def test_a_missed_name_leads_to_the_plugin_that_had_brought_it(samplers: Registry[SamplerInfo]) -> None:
    samplers.withdraw("classics")
    with pytest.raises(UnknownName, match="Plugin 'classics' brings it, but is quarantined"):
        samplers.get("EULER A")


def test_a_missed_name_may_come_from_a_plugin_that_takes_no_part(samplers: Registry[SamplerInfo]) -> None:
    samplers.absent = ("asleep", "torn")
    with pytest.raises(UnknownName, match="switched off or broken: asleep, torn"):
        samplers.get("swirl")
