"""`sfumato models`, and the tables of samplers and schedulers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import InstallPlugin
from .conftest import Sfumato

SAMPLERS = """
from sfumato.hookspecs import hookimpl
from sfumato.sampling import Option

SFUMATO_API = "1.0"


@hookimpl
def register_samplers(samplers):
    eta = Option(name="eta", default=1.0, description="Fresh noise.")
    names = {"label": "Walk", "aliases": ("k_walk",)}
    samplers.add("walk", "nowhere:walk", **names, order=2, stochastic=True, options=(eta,))


@hookimpl
def register_schedulers(schedulers):
    schedulers.add("even", "nowhere:even", label="Even")
"""


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_the_list_has_models_of_plugins_and_folders(sfumato: Sfumato, checkpoints: Path) -> None:
    (checkpoints / "mine.tiny").write_text('["tiny"]')
    assert [line.split()[:2] for line in sfumato("models").lines] == [
        ["name", "family"],
        ["dot", "tiny"],
        ["mine", "tiny"],
    ]


def test_a_damaged_file_is_left_out_and_told(sfumato: Sfumato, checkpoints: Path) -> None:
    (checkpoints / "bad.tiny").write_text("{")
    outcome = sfumato("models")
    assert outcome.code == 0
    assert "bad.tiny: 'bad.tiny' is damaged." in outcome.err
    assert sfumato("models", "list", "--json").json["problems"][0]["path"].endswith("bad.tiny")


def test_show_tells_parts_and_defaults_of_the_default_model(sfumato: Sfumato) -> None:
    assert "steps=20" in sfumato("models", "show").out
    assert sfumato("models", "show", "dot", "--json").json["family"] == "tiny"


def test_detect_tells_what_a_file_is(sfumato: Sfumato, tmp_path: Path) -> None:
    (tmp_path / "x.tiny").write_text('["tiny", "more"]')
    assert "2 (32 B F32)" in sfumato("models", "detect", str(tmp_path / "x.tiny")).out
    assert sfumato("models", "detect", str(tmp_path / "x.tiny"), "--json").json["model"]["family"] == "tiny"


def test_detect_tells_the_contents_of_what_no_family_knows(sfumato: Sfumato, tmp_path: Path) -> None:
    (tmp_path / "x.tiny").write_text('["other"]')
    outcome = sfumato("models", "detect", str(tmp_path / "x.tiny"))
    assert outcome.code == 2
    assert "tensors" in outcome.out
    assert "not a model that Sfumato knows" in outcome.err


def test_a_pickle_is_refused(sfumato: Sfumato, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"\x80\x04cos\nsystem\n")
    outcome = sfumato("models", "detect", str(tmp_path / "x.ckpt"))
    assert outcome.code == 2
    assert "refused" in outcome.err


def test_samplers_tell_names_order_and_options(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    install_plugin("walkers", SAMPLERS)
    _, row = sfumato("samplers").lines
    assert row.split() == ["walk", "Walk", "k_walk", "2", "1", "yes", "-", "eta=1.0"]
    (sampler,) = sfumato("samplers", "--json").json
    assert sampler["options"][0]["name"] == "eta"


def test_schedulers_are_listed(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    install_plugin("walkers", SAMPLERS)
    assert [item["name"] for item in sfumato("schedulers", "--json").json] == ["even"]
    assert sfumato("schedulers").lines[1].split() == ["even", "Even", "-"]
