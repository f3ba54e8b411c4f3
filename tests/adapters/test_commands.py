"""`sfumato loras`, in this process, on the bundled plugins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sfumato.cli import main

from .conftest import Workbench

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sfumato(
    workbench: Workbench,
    flux_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `sfumato` on the workbench's folder; gives the exit code, stdout and stderr."""
    folders = json.dumps([str(workbench.folder), str(flux_folder)])
    monkeypatch.setenv("SFUMATO_GENERAL__MODEL_FOLDERS", folders)
    monkeypatch.setenv("SFUMATO_PLUGINS__DISABLED", '["model_emoji"]')  # it brings a LoRA of its own

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        return code, *capsys.readouterr()

    return run


def shown(found: tuple[int, str, str]) -> Any:
    code, out, err = found
    assert code == 0, err
    return json.loads(out)


def test_loras_are_listed_and_damaged_ones_told(workbench: Workbench, sfumato: Run) -> None:
    workbench.write("style", rank=3)
    (workbench.folder / "loras" / "torn.safetensors").write_bytes(b"12")
    code, out, err = sfumato("loras")
    assert code == 0
    assert out.splitlines()[1].split()[:1] == ["style"]
    assert "torn.safetensors" in err
    found = shown(sfumato("loras", "--json"))
    assert [Path(one["path"]).stem for one in found["loras"]] == ["style"]
    assert "torn" in found["problems"][0]["path"]


def test_an_empty_folder_is_told_with_where_to_put_loras(workbench: Workbench, sfumato: Run) -> None:
    code, _, err = sfumato("loras")
    assert code == 0
    assert str(workbench.folder / "loras") in err


def test_one_is_shown_by_name_and_by_path(workbench: Workbench, sfumato: Run) -> None:
    path = workbench.write("style", rank=3, metadata={"ss_output_name": "Painter"})
    for name in ("style", str(path)):
        code, out, _ = sfumato("loras", "show", name)
        assert code == 0
        assert "Painter" in out
        assert "ranks" in out
    assert shown(sfumato("loras", "show", "style", "--json"))["lora"]["ranks"].keys() == {"3"}


def test_how_far_it_fits_a_model_is_shown_too(workbench: Workbench, sfumato: Run, flux_folder: Path) -> None:
    workbench.write("style", parts=["transformer", "clip_text"])
    model = str(flux_folder / "all.safetensors")
    code, out, err = sfumato("loras", "show", "style", "--model", model)
    assert code == 0, err
    assert "layers of transformer" in out
    match = shown(sfumato("loras", "show", "style", "--model", model, "--json"))["match"]
    assert match["layers"].keys() == {"transformer", "clip_text"}
    assert match["unmatched"] == []


def test_a_name_is_needed_to_show_one_and_an_unknown_one_offers_the_nearest(
    workbench: Workbench, sfumato: Run
) -> None:
    workbench.write("style")
    code, _, err = sfumato("loras", "show")
    assert code == 2
    assert "sfumato loras show NAME" in err
    code, _, err = sfumato("loras", "show", "stile")
    assert code == 2
    assert "Did you mean style?" in err
    code, _, err = sfumato("loras", "list", "style")
    assert code == 2
    assert "sfumato loras show style" in err
