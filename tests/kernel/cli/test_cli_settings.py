"""`sfumato settings` and the global options that change settings for one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Sfumato


def test_the_list_tells_value_and_source(sfumato: Sfumato, settings_file: Path) -> None:
    rows = {line.split()[0]: line for line in sfumato("settings").lines}
    assert rows["tiny.dots"].split() == ["tiny.dots", "3", "default"]
    assert str(settings_file) in rows["general.model_folders"]


def test_what_is_set_is_got_and_traced_until_it_is_unset(sfumato: Sfumato, settings_file: Path) -> None:
    assert sfumato("settings", "set", "tiny.dots", "5").code == 0
    assert sfumato("settings", "get", "tiny.dots").out == "5\n"
    assert sfumato("settings", "where", "tiny.dots").out == f"file ({settings_file})\n"
    assert sfumato("settings", "unset", "tiny.dots").code == 0
    assert sfumato("settings", "where", "tiny.dots").out == "default\n"


def test_json_tells_all_of_a_setting(sfumato: Sfumato) -> None:
    assert sfumato("settings", "get", "tiny.dots", "--json").json == {
        "key": "tiny.dots", "value": 3, "source": "default", "detail": "",
        "description": "How many dots.", "allowed": "integer, from 1 to 9", "default": 3,
    }  # fmt: skip


def test_where_alone_tells_the_file(sfumato: Sfumato, settings_file: Path) -> None:
    assert sfumato("settings", "where").out.strip() == str(settings_file)


def test_set_on_the_command_line_holds_for_one_run(sfumato: Sfumato) -> None:
    assert sfumato("--set", "tiny.dots=9", "settings", "where", "tiny.dots").out == "command line (--set)\n"
    assert sfumato("settings", "get", "tiny.dots").out == "3\n"


def test_config_names_another_file(sfumato: Sfumato, settings_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(settings_file.read_text() + "[tiny]\ndots = 8\n")
    assert sfumato("--config", str(other), "settings", "get", "tiny.dots").out == "8\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("settings", "set", "tiny.dots", "99"), "Allowed: integer, from 1 to 9."),
        (("settings", "get", "tiny.dot"), "Did you mean tiny.dots"),
        (("settings", "unset", "tiny.dots"), "no setting in the file named 'tiny.dots'"),
        (("--set", "tiny.dots=x", "generate", "apple"), "tiny.dots cannot be 'x'"),
        (("--set", "tony.dots=1", "generate", "apple"), "no setting named 'tony.dots'"),
        (("--set", "dots", "doctor"), "section.name=value"),
    ],
)
def test_a_mistake_is_told_and_ends_with_2(sfumato: Sfumato, words: tuple[str, ...], told: str) -> None:
    outcome = sfumato(*words)
    assert outcome.code == 2
    assert told in outcome.err


def test_a_wrong_value_in_the_file_stops_generate_but_can_be_mended(
    sfumato: Sfumato, settings_file: Path
) -> None:
    with settings_file.open("a") as file:
        file.write("[tiny]\ndots = 99\n")
    assert sfumato("generate", "apple").code == 2
    assert "tiny.dots cannot be '99'" in sfumato("settings").err
    assert sfumato("settings", "unset", "tiny.dots").code == 0
    assert sfumato("generate", "apple").code == 0


def test_a_broken_file_stops_generate_with_its_line(sfumato: Sfumato, settings_file: Path) -> None:
    settings_file.write_text("[general\n")
    outcome = sfumato("generate", "apple")
    assert outcome.code == 2
    assert "line 1" in outcome.err


@pytest.mark.parametrize("words", [["get", "general.default_model"], ["where"], ["list"], ["--json"]])
def test_defaults_in_place_of_a_broken_file_are_no_success(
    sfumato: Sfumato, settings_file: Path, words: list[str]
) -> None:
    before = settings_file.read_text()
    assert sfumato("settings", *words).code == 0
    settings_file.write_text(before + "[tiny\n")
    outcome = sfumato("settings", *words)
    assert outcome.code == 2
    assert outcome.out
    assert "is not valid TOML" in outcome.err
