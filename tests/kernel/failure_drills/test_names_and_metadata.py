"""Names that clash, are nonsense or are missed; versions and metadata that cannot be."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sfumato import GenerationRequest, Studio
from sfumato.errors import BadInput, PluginError, UnknownName
from sfumato.plugins import PluginManager
from sfumato.registries import Registries
from sfumato.settings import Settings

from ..conftest import InstallPlugin
from .conftest import LONG, SOUND, Starting, head, hook, run_program

WRONG = {
    "no target": ("samplers.add('x', None, label='X')", "cannot have the target"),
    "a number as target": ("samplers.add('x', 5, label='X')", "cannot have the target"),
    "a number as name": ("samplers.add(5, 'json:dumps', label='X')", "not a permanent name"),
    "a number as label": ("samplers.add('x', 'json:dumps', label=5)", "label"),
    "no label": ("samplers.add('x', 'json:dumps')", "label"),
    "one alias as text": ("samplers.add('x', 'json:dumps', label='X', aliases='k_x')", "aliases"),
    "a misspelt field": ("samplers.add('x', 'json:dumps', label='X', alias=('y',))", "mean aliases"),
    "replaced by nothing": ("samplers.replace('sound', None)", "cannot have the target"),
}


@pytest.mark.parametrize("case", WRONG)
def test_registering_nonsense(case: str, install_plugin: InstallPlugin, start: Starting) -> None:
    call, told = WRONG[case]
    install_plugin("drill", head() + hook("register_samplers", call))
    started = start()
    record = started.quarantined("drill")
    assert record.stage == "register_samplers"
    assert told in record.problem
    assert "x" not in started.registries.samplers


def test_an_empty_alias_finds_nothing(install_plugin: InstallPlugin, start: Starting) -> None:
    call = "samplers.add('x', 'json:dumps', label=' ', aliases=('',))"
    install_plugin("drill", head() + hook("register_samplers", call))
    registries = start().registries
    assert "x" in registries.samplers
    assert "" not in registries.samplers


def test_registering_from_another_thread_counts_while_the_hook_runs(
    install_plugin: InstallPlugin, start: Starting
) -> None:
    source = """
errors = []

def add(samplers, name):
    try:
        samplers.add(name, "json:dumps", label=name)
    except Exception as error:
        errors.append(error)

@hookimpl
def register_samplers(samplers):
    global late
    early = threading.Thread(target=add, args=(samplers, "early"))
    early.start()
    early.join()
    late = lambda: add(samplers, "late")
"""
    module = install_plugin("drill", head() + source)
    registries = start().registries
    sys.modules[module].late()
    assert "early" in registries.samplers
    assert "late" not in registries.samplers
    assert "registration is over" in str(sys.modules[module].errors[0])


def test_entries_by_the_ten_thousand_are_slow_but_found(
    install_plugin: InstallPlugin, start: Starting
) -> None:
    loop = "for i in range(20_000): samplers.add(f's{i}', 'json:dumps', label=f'S {i}')"
    install_plugin("drill", head() + hook("register_samplers", loop))
    started = start()
    assert started.registries.samplers.get("S 19999").plugin == "drill"
    assert started.plugins.get("drill").load_seconds > 0


@pytest.mark.parametrize(
    "declared",
    [
        "'2.0'",
        "'0.9'",
        "'1.99'",
        "1.0",
        "(1, 0)",
        "'1'",
        "''",
        "'1.0.0'",
        "'one.two'",
        "None",
        "b'1.0'",
        "'1.x'",
    ],
)
def test_an_api_version_that_does_not_fit(
    declared: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    install_plugin("drill", SOUND.format(name="x").replace('"1.0"', declared))
    started = start()
    assert started.quarantined("drill").stage == "API version"
    assert "x" not in started.registries.samplers


@pytest.mark.parametrize(
    "claim", ["'swirl', label='B'", "'b', label='swirl'", "'b', label='B', aliases=('SWIRL ',)"]
)
def test_two_plugins_claiming_one_name_label_or_alias(
    claim: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    install_plugin("first", SOUND.format(name="swirl"))
    name, *rest = claim.split(", ", 1)
    call = f"samplers.add({name}, 'json:dumps', {rest[0]})"
    install_plugin("second", head() + hook("register_samplers", call))
    started = start()
    assert "'first' already registered it" in started.quarantined("second").problem
    assert [entry.info.name for entry in started.registries.samplers] == ["sound", "swirl"]


def test_a_saved_request_names_the_sampler_of_a_plugin_that_is_gone(
    install_plugin: InstallPlugin, start: Starting, tmp_path: Path
) -> None:
    install_plugin("vortex", SOUND.format(name="swirl"))
    saved = GenerationRequest(prompt="apple", sampler="swirl").model_dump_json()
    assert "swirl" in start().registries.samplers
    shutil.rmtree(tmp_path / "site" / "vortex_dist-1.0.dist-info")
    (tmp_path / "site" / "vortex_dist.py").unlink()
    shutil.rmtree(tmp_path / "site" / "zz_sound_dist-1.0.dist-info")
    after = start()
    wanted = GenerationRequest.model_validate_json(saved).sampler
    assert wanted == "swirl"
    with pytest.raises(UnknownName, match="There is no sampler named 'swirl'"):
        after.registries.samplers.get(wanted)
    assert "pip install vortex-dist" in after.plugins.how_to_have("vortex", "vortex-dist")
    assert "pip install" not in after.plugins.how_to_have("vortex"), "who knows what is called so on PyPI"


def test_what_is_missed_leads_to_the_plugin_that_is_off_or_broken(
    install_plugin: InstallPlugin, bundled: tuple[str, ...]
) -> None:
    install_plugin("asleep", SOUND.format(name="dream"))
    install_plugin("torn", SOUND.format(name="shard") + hook("register_tasks", "1 / 0"))
    plugins, registries = PluginManager((*bundled, "asleep"), LONG), Registries()
    plugins.discover()
    plugins.fill(registries)
    assert "ZeroDivisionError" in plugins.get("torn").problem
    with pytest.raises(UnknownName, match=r"switched off or broken: .*asleep, .*torn"):
        registries.samplers.get("dream")
    assert "sfumato plugins enable asleep" in plugins.how_to_have("asleep")
    assert "sfumato plugins show torn" in plugins.how_to_have("torn")


def test_a_name_that_a_quarantined_plugin_had_registered_leads_to_it(
    install_plugin: InstallPlugin, start: Starting
) -> None:
    add = hook("register_schedulers", "schedulers.add('shard', 'json:dumps', label='Shard')")
    install_plugin("torn", head() + add + hook("register_tasks", "1 / 0"))
    registries = start().registries
    with pytest.raises(UnknownName, match="Plugin 'torn' brings it, but is quarantined"):
        registries.schedulers.get("Shard")


def test_a_plugin_whose_file_goes_between_discovery_and_use(
    install_plugin: InstallPlugin, start: Starting, parts: Callable[[str], str], tmp_path: Path
) -> None:
    target = parts(head())
    install_plugin("drill", head() + hook("register_samplers", f"samplers.add('x', {target!r}, label='X')"))
    entry = start().registries.samplers.get("x")
    (tmp_path / "site" / "drill_parts.py").unlink()
    with pytest.raises(PluginError, match="Reinstall the plugin"):
        entry.load()


DAMAGE: dict[str, dict[str, bytes | None]] = {
    "no metadata": {"METADATA": None},
    "metadata without a name": {"METADATA": b"Metadata-Version: 2.1\nVersion: 1\n"},
    "metadata without a version": {"METADATA": b"Metadata-Version: 2.1\nName: drill-dist\n"},
    "entry points without a value": {"entry_points.txt": b"[sfumato]\ndrill\n"},
    "an entry point that names nothing": {"entry_points.txt": b"[sfumato]\ndrill = \n"},
    "an entry point that is no module": {"entry_points.txt": b"[sfumato]\ndrill = no such thing!\n"},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_plugin_whose_metadata_is_damaged(
    damage: str, install_plugin: InstallPlugin, start: Starting, tmp_path: Path
) -> None:
    install_plugin("drill", SOUND.format(name="x"))
    for name, content in DAMAGE[damage].items():
        file = tmp_path / "site" / "drill_dist-1.0.dist-info" / name
        file.unlink() if content is None else file.write_bytes(content)
    started = start()
    (record,) = [record for record in started.plugins if record.name.startswith("drill")]
    assert started.quarantined(record.name).stage in ("metadata", "import")
    assert "--force-reinstall drill." not in record.advice, "that is no distribution"
    assert "x" not in started.registries.samplers


def test_entry_points_that_are_no_text_hide_no_other_plugin(
    install_plugin: InstallPlugin, start: Starting, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", SOUND.format(name="x"))
    (tmp_path / "site" / "drill_dist-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe\x00[sfumato")
    assert "x" not in start().registries.samplers
    outcome = run_program(tmp_path, bundled, "samplers", "--json")
    assert [sampler["name"] for sampler in json.loads(outcome.stdout)] == ["sound"]


def test_an_unknown_setting_leads_to_the_plugins(bundled: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="see 'sfumato plugins'"):
        Studio(Settings.load(overrides={"plugins.disabled": ",".join(bundled), "engine.device": "cpu"}))
    with pytest.raises(BadInput) as caught:
        Settings.load(overrides={"general.output": "x"})
    assert "plugins'" not in str(caught.value)
