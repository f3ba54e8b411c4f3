"""A broken plugin is a row in a list, not a crash."""

from __future__ import annotations

import pytest

from sfumato.errors import UnknownName
from sfumato.plugins import PluginManager, PluginRecord, PluginState
from sfumato.registries import Registries

from .conftest import InstallPlugin

GOOD = """
    from sfumato.hookspecs import hookimpl

    SFUMATO_API = "1.0"

    @hookimpl
    def register_samplers(samplers):
        samplers.add("{name}", "json:dumps", label="{label}")
"""


def start(disabled: tuple[str, ...] = ()) -> tuple[PluginManager, Registries]:
    manager, registries = PluginManager(disabled), Registries()
    manager.discover()
    manager.fill(registries)
    return manager, registries


def quarantined(manager: PluginManager, name: str) -> PluginRecord:
    record = manager.get(name)
    assert record.state is PluginState.QUARANTINED
    assert record.advice
    return record


def test_an_installed_plugin_is_found_and_its_hooks_are_called(install_plugin: InstallPlugin) -> None:
    install_plugin("drift", GOOD.format(name="drift", label="Drift"), version="2.5")
    manager, registries = start()
    record = manager.get("drift")
    assert (record.state, record.version, record.distribution) == (PluginState.ACTIVE, "2.5", "drift-dist")
    assert record.hooks == ("register_samplers",)
    assert registries.samplers.get("drift").plugin == "drift"


def test_plugins_are_listed_in_name_order(install_plugin: InstallPlugin) -> None:
    for name in ("zebra", "aardvark"):
        install_plugin(name, GOOD.format(name=name, label=name.title()))
    names = [record.name for record in start()[0]]
    assert names == sorted(names)
    assert {"zebra", "aardvark"} <= set(names)


def test_a_disabled_plugin_is_listed_but_not_imported(install_plugin: InstallPlugin) -> None:
    install_plugin("drift", "raise RuntimeError('imported')")
    manager, _ = start(disabled=("drift",))
    assert manager.get("drift").state is PluginState.DISABLED


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import a_library_nobody_has", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_fails_to_import_is_quarantined_with_its_traceback(
    install_plugin: InstallPlugin, source: str, problem: str
) -> None:
    install_plugin("broken", source)
    install_plugin("sound", GOOD.format(name="sound", label="Sound"))
    manager, registries = start()
    record = quarantined(manager, "broken")
    assert record.stage == "import"
    assert problem in record.problem
    assert "broken_dist.py" in record.traceback
    assert "sound" in registries.samplers


@pytest.mark.parametrize(
    ("declaration", "advice"),
    [
        ('SFUMATO_API = "2.0"', "Update Sfumato"),
        ('SFUMATO_API = "1.99"', "Update Sfumato"),
        ('SFUMATO_API = "0.9"', "Update the plugin"),
        ('SFUMATO_API = "latest"', "Write it as '1.0'"),
        ("", 'SFUMATO_API = "1.0"'),
    ],
)
def test_a_plugin_for_another_kernel_api_is_quarantined(
    install_plugin: InstallPlugin, declaration: str, advice: str
) -> None:
    install_plugin("alien", declaration)
    record = quarantined(start()[0], "alien")
    assert record.stage == "API version"
    assert advice in record.advice


def test_a_plugin_that_raises_in_a_hook_leaves_nothing_behind(install_plugin: InstallPlugin) -> None:
    source = GOOD.format(name="half", label="Half") + (
        "\n    @hookimpl"
        "\n    def register_schedulers(schedulers):"
        "\n        raise ValueError('no schedule today')\n"
    )
    install_plugin("half", source)
    manager, registries = start()
    record = quarantined(manager, "half")
    assert record.stage == "register_schedulers"
    assert "no schedule today" in record.traceback
    assert "half" not in registries.samplers


def test_two_plugins_claiming_one_sampler_name_quarantines_the_later(install_plugin: InstallPlugin) -> None:
    install_plugin("first", GOOD.format(name="swirl", label="Swirl"))
    install_plugin("second", GOOD.format(name="swirl", label="Other swirl"))
    manager, registries = start()
    assert registries.samplers.get("swirl").plugin == "first"
    assert "'first' already registered it" in quarantined(manager, "second").problem


def test_two_distributions_bringing_one_plugin_name_keeps_the_first(install_plugin: InstallPlugin) -> None:
    install_plugin("twin", GOOD.format(name="one", label="One"), distribution="a-twin")
    install_plugin("twin", GOOD.format(name="two", label="Two"), distribution="b-twin")
    manager, registries = start()
    assert manager.get("twin").distribution == "a-twin"
    twin = quarantined(manager, "twin (b-twin)")
    assert "a-twin" in twin.problem
    assert twin.advice == "Uninstall one of them: pip uninstall a-twin, or b-twin."
    assert "two" not in registries.samplers


def test_a_misspelt_hook_is_quarantined_with_the_nearest_name(install_plugin: InstallPlugin) -> None:
    install_plugin(
        "typo", GOOD.format(name="typo", label="Typo").replace("register_samplers", "register_sampler")
    )
    assert "register_samplers" in quarantined(start()[0], "typo").problem


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ("@hookimpl(wrapper=True)\ndef register_samplers(samplers): return (yield)", "is a generator"),
        ("@hookimpl(hookwrapper=True)\ndef register_samplers(samplers): yield", "is a generator"),
        ("@hookimpl\ndef register_samplers(samplers): yield", "is a generator"),
        ("@hookimpl\nasync def register_samplers(samplers): pass", "is a generator"),
        ("@hookimpl\ndef register_samplers(): pass", "wrong parameters"),
        ("@hookimpl\ndef register_samplers(samplers=None): pass", "wrong parameters"),
        ("@hookimpl\ndef register_samplers(samplers, schedulers): pass", "schedulers"),
        ("@hookimpl\ndef register_samplers(sampler): pass", "sampler"),
    ],
)
def test_a_hook_that_would_register_nothing_is_quarantined(
    install_plugin: InstallPlugin, hook: str, problem: str
) -> None:
    install_plugin("idle", f'from sfumato.hookspecs import hookimpl\nSFUMATO_API = "1.0"\n{hook}\n')
    record = quarantined(start()[0], "idle")
    assert record.stage == "registration"
    assert problem in record.problem
    assert "\n" not in record.problem


def test_a_second_implementation_of_a_hook_is_looked_at_too(install_plugin: InstallPlugin) -> None:
    second = "\n    @hookimpl(specname='register_samplers')\n    def more(): pass\n"
    install_plugin("twofold", GOOD.format(name="twofold", label="Twofold") + second)
    assert "wrong parameters" in quarantined(start()[0], "twofold").problem


def test_asking_for_an_absent_plugin_offers_the_nearest_names(install_plugin: InstallPlugin) -> None:
    install_plugin("drift", GOOD.format(name="drift", label="Drift"))
    with pytest.raises(UnknownName, match="drift"):
        start()[0].get("drfit")


REPLACING = """
    from sfumato.hookspecs import hookimpl

    SFUMATO_API = "1.0"

    @hookimpl
    def register_samplers(samplers):
        samplers.replace("{name}", "json:loads", label="{label}")
"""
FAILING_TASKS = "\n    @hookimpl\n    def register_tasks(tasks):\n        1 / 0\n"


@pytest.mark.parametrize("replacing", ["aardvark", "zebra"])
def test_a_plugin_replaces_an_entry_whatever_the_order_of_names(
    install_plugin: InstallPlugin, replacing: str
) -> None:
    install_plugin("middle", GOOD.format(name="swirl", label="Swirl"))
    install_plugin(replacing, REPLACING.format(name="swirl", label="Better swirl"))
    manager, registries = start()
    assert registries.samplers.get("Better swirl").plugin == replacing
    assert manager.get(replacing).replaces == ("sampler 'swirl' of plugin 'middle'",)
    assert manager.get("middle").replaces == ()


def test_of_two_plugins_replacing_one_entry_the_later_is_quarantined(install_plugin: InstallPlugin) -> None:
    install_plugin("middle", GOOD.format(name="swirl", label="Swirl"))
    for name in ("zebra", "aardvark"):
        install_plugin(name, REPLACING.format(name="swirl", label=name))
    manager, registries = start()
    assert "'aardvark' replaces it" in quarantined(manager, "zebra").problem
    assert registries.samplers.get("swirl").plugin == "aardvark"


def test_replacing_what_is_not_there_is_quarantined_at_its_hook(install_plugin: InstallPlugin) -> None:
    install_plugin("drift", GOOD.format(name="drift", label="Drift"))
    install_plugin("hopeful", REPLACING.format(name="drft", label="X"))
    record = quarantined(start()[0], "hopeful")
    assert record.stage == "register_samplers"
    assert "Did you mean drift" in record.problem


def test_a_quarantined_plugin_gives_back_what_it_replaced(install_plugin: InstallPlugin) -> None:
    install_plugin("middle", GOOD.format(name="swirl", label="Swirl"))
    install_plugin("zebra", REPLACING.format(name="swirl", label="Better swirl") + FAILING_TASKS)
    manager, registries = start()
    quarantined(manager, "zebra")
    assert registries.samplers.get("Swirl").plugin == "middle"


def test_with_a_plugin_goes_what_replaced_its_entries(install_plugin: InstallPlugin) -> None:
    install_plugin("middle", GOOD.format(name="swirl", label="Swirl") + FAILING_TASKS)
    install_plugin("aardvark", REPLACING.format(name="swirl", label="Better swirl"))
    manager, registries = start()
    assert "Plugin 'middle' brings it, but is quarantined" in quarantined(manager, "aardvark").problem
    assert "swirl" not in registries.samplers


def test_a_plugin_that_is_taken_out_later_gives_back_what_it_replaced(install_plugin: InstallPlugin) -> None:
    install_plugin("middle", GOOD.format(name="swirl", label="Swirl"))
    install_plugin("zebra", REPLACING.format(name="swirl", label="Better swirl"))
    manager, registries = start()
    manager.quarantine("zebra", "work", RuntimeError("out of ink"), registries)
    assert registries.samplers.get("swirl").plugin == "middle"
    assert quarantined(manager, "zebra").replaces == ()


def test_replacing_what_a_plugin_brings_that_is_switched_off_leads_to_that_plugin(
    install_plugin: InstallPlugin,
) -> None:
    install_plugin("asleep", GOOD.format(name="swirl", label="Swirl"))
    install_plugin("zebra", REPLACING.format(name="swirl", label="Better swirl"))
    assert "switched off or broken: asleep" in quarantined(start(("asleep",))[0], "zebra").problem


def test_a_plugin_that_claims_a_name_twice_is_not_told_to_be_weighed_against_itself(
    install_plugin: InstallPlugin,
) -> None:
    again = "        samplers.add('swirl', 'json:loads', label='Again')\n"
    install_plugin("twice", GOOD.format(name="swirl", label="Swirl") + again)
    record = quarantined(start()[0], "twice")
    assert "twice: its author" in record.advice
    assert "disable twice, or twice" not in record.advice
