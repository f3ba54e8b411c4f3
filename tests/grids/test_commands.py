"""`sfumato grid`, `sfumato matrix` and `sfumato batch`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from sfumato.cli import main

Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *words: object) -> tuple[int, list[str], str]:
    """Exit code, printed lines, and what was said beside."""
    code = main(["--set", "engine.device=cpu", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_a_grid_prints_its_pictures_and_sheet_and_tells_its_progress(
    capsys: Captured, tmp_path: Path
) -> None:
    words = ("grid", "a red apple", "--set", "seed=3", "--set", "steps=1", "--out", tmp_path)
    axes = ("--x", "CFG Scale: 1-2", "--y", 'Prompt S/R: red, "blue"')
    code, lines, said = run(capsys, *words, *axes)
    assert code == 0
    names = [Path(line).name for line in lines]
    assert names == [*(f"0000{n}-3.png" for n in range(1, 5)), "00005-xyz_grid-3.png"]
    assert "cell 4 of 4" in said
    code, lines, said = run(capsys, *words, *axes)
    assert (code, lines) == (0, [])
    assert "4 of 4 cells were drawn before" in said


def test_json_tells_of_every_picture(capsys: Captured, tmp_path: Path) -> None:
    words = ("grid", "a red apple", "--set", "steps=1", "--x", "seed: 3, 4", "--no-sheets", "--json")
    code, lines, _ = run(capsys, *words, "--out", tmp_path)
    assert code == 0
    assert [json.loads(line)["seed"] for line in lines] == [3, 4]


def test_a_whole_grid_or_its_base_may_come_from_json(capsys: Captured, tmp_path: Path) -> None:
    base, whole = tmp_path / "base.json", tmp_path / "whole.json"
    base.write_text(json.dumps({"prompt": "a red apple", "steps": 9, "seed": 3}))
    x = {"field": "steps", "values": ["1"]}
    whole.write_text(json.dumps({"base": {"prompt": "a red apple", "seed": 3}, "x": x, "legend": False}))
    code, lines, _ = run(
        capsys, "grid", "--from", base, "--set", "steps=1", "--x", "cfg_scale: 2", "--out", tmp_path / "out"
    )
    assert (code, len(lines)) == (0, 2)
    code, lines, _ = run(capsys, "grid", "--from", whole, "--out", tmp_path / "out")
    assert (code, len(lines)) == (0, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("grid", "a"), "either axes"),
        (("grid", "a", "--x", "steps"), "is no axis"),
        (("grid", "a", "--x", 'lora: "a'), "cannot be read"),
        (("grid", "a", "--x", "steps: 1", "--set", "steps"), "--set steps=20"),
        (("grid", "a", "--x", "steps: 1", "--set", "steps=x"), "valid integer"),
        (("grid", "a", "--x", "steps: 1", "--from", "gone.json"), "cannot be read"),
        (("grid", "a", "--x", "steps: 1", "--vary-seeds", "q"), "no axis 'q'"),
        (("grid", "a", "--x", "foo: 1"), "more. One option"),
        (("matrix", "a cat"), "no parts"),
        (("batch", "gone.txt"), "cannot be read"),
    ],
)
def test_what_cannot_be_is_told(capsys: Captured, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    code, lines, said = run(capsys, *words, "--out", tmp_path / "out")
    assert (code, lines) == (2, [])
    assert told in said
    assert not (tmp_path / "out").exists()


def test_options_of_folders_are_refused_beside_a_file_of_prompts(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a fig\n")
    code, lines, said = run(capsys, "batch", tmp_path / "p.txt", "--masks", tmp_path, "--out", tmp_path)
    assert (code, lines) == (2, [])
    assert "--masks is for folders" in said


def test_a_cell_that_fails_makes_the_exit_code_1(capsys: Captured, tmp_path: Path) -> None:
    words = ("grid", "a red apple", "--set", "steps=1", "--x", 'lora: "", gone', "--out", tmp_path)
    code, lines, said = run(capsys, *words)
    assert (code, len(lines)) == (1, 2)
    assert "1 of 2 cells could not be drawn" in said


def test_a_matrix_is_drawn(capsys: Captured, tmp_path: Path) -> None:
    code, lines, _ = run(capsys, "matrix", "an apple|red", "--set", "steps=1", "--out", tmp_path)
    assert (code, len(lines)) == (0, 3)
    assert "prompt_matrix" in lines[-1]


def test_a_file_of_prompts_is_drawn(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a fig\n--prompt a pear --seed 7\n")
    words = ("batch", tmp_path / "p.txt", "--set", "steps=1", "--set", "seed=3", "--out", tmp_path / "out")
    code, lines, _ = run(capsys, *words)
    assert code == 0
    assert [Path(line).name for line in lines] == ["00001-3.png", "00002-7.png"]


def test_a_folder_is_drawn_anew_with_masks(capsys: Captured, tmp_path: Path) -> None:
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (64, 64), "white").save(tmp_path / folder / "shot.png")
    words = ("batch", tmp_path / "in", "--prompt", "a red apple", "--masks", tmp_path / "masks")
    sets = ("--set", "steps=2", "--set", "img2img.denoising_strength=0.5", "--set", "inpaint.blur=0")
    code, lines, _ = run(capsys, *words, *sets, "--out", tmp_path / "out")
    assert (code, [Path(line).name for line in lines]) == (0, ["shot.png"])
    with Image.open(lines[0]) as picture:
        fields = json.loads(picture.text["sfumato"])["request"]  # type: ignore[attr-defined]
    assert (fields["img2img"]["denoising_strength"], fields["inpaint"]["blur"]) == (0.5, 0)


def test_only_known_fields_are_taken_from_pictures(capsys: Captured, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    code, _, said = run(capsys, "batch", tmp_path, "--take", "sead", "--out", tmp_path / "out")
    assert code == 2
    assert "seed" in said
