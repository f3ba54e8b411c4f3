"""`sfumato generate`: prompts in, paths out, options from schemas, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Sfumato


def requests(sfumato: Sfumato, *words: str, stdin: str = "") -> list[dict[str, object]]:
    """The resolved requests that the tiny task was given."""
    outcome = sfumato("generate", "--json", *words, stdin=stdin)
    assert outcome.code == 0, outcome.err
    return [json.loads(json.loads(line)["infotext"]) for line in outcome.lines]


def test_a_prompt_becomes_a_picture_whose_path_is_printed(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "a red apple")
    assert outcome.code == 0
    assert outcome.lines == [str(Path("outputs/00000.png"))]
    assert Path("outputs/00000.png").exists()


def test_out_says_where_pictures_go(sfumato: Sfumato, tmp_path: Path) -> None:
    outcome = sfumato("generate", "a red apple", "--out", str(tmp_path / "here"))
    assert outcome.lines == [str(tmp_path / "here" / "00000.png")]


def test_stages_are_named_and_set_by_options(sfumato: Sfumato) -> None:
    words = ("--stage", "grain.strength=0.3", "--stage", "frame", "--stage", "grain.kind=fine")
    (request,) = requests(sfumato, "apple", *words)
    assert request["stages"] == {"grain": {"strength": 0.3, "kind": "fine"}, "frame": {}}


def test_json_is_one_object_a_picture(sfumato: Sfumato) -> None:
    lines = sfumato("generate", "an apple", "--json", "--count", "2", "--seed", "7").lines
    objects = [json.loads(line) for line in lines]
    assert [set(item) for item in objects] == [{"path", "seed", "width", "height", "infotext"}] * 2
    assert [item["seed"] for item in objects] == [7, 8]


def test_every_request_field_is_an_option(sfumato: Sfumato) -> None:
    options = {
        "--negative": "blurry", "--model": "dot", "--seed": "-1", "--steps": "7", "--sampler": "Euler a",
        "--scheduler": "karras", "--cfg-scale": "2.5", "--width": "64", "--height": "32", "--batch-size": "2",
    }  # fmt: skip
    words = [word for pair in options.items() for word in pair]
    request, _ = requests(
        sfumato, "apple", *words, "--sampler-option", "eta=0.5", "--sampler-option", "kind=x"
    )
    assert request["sampler_options"] == {"eta": 0.5, "kind": "x"}
    given = [str(request[name]) for name in ("negative_prompt", "model", "seed", "steps", "sampler")]
    assert given == ["blurry", "dot", "-1", "7", "Euler a"]
    assert [request["cfg_scale"], request["width"], request["height"], request["batch_size"]] == [
        2.5,
        64,
        32,
        2,
    ]


def test_what_is_not_given_is_left_to_the_model(sfumato: Sfumato) -> None:
    (request,) = requests(sfumato, "apple")
    assert request["steps"] is None
    assert request["model_options"] == {}


def test_family_knobs_are_options_with_the_family_name(sfumato: Sfumato) -> None:
    (request,) = requests(sfumato, "apple", "--tiny-hue", "0.25", "--tiny-paper", "black", "--tiny-rough")
    assert request["model_options"] == {"hue": 0.25, "paper": "black", "rough": True}


def test_a_knob_of_another_family_is_refused(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "apple", "--other-hue", "4")
    assert outcome.code == 2
    assert "--other-hue cannot be used with the model 'dot'" in outcome.err


def test_help_shows_schemas_bounds_and_defaults(sfumato: Sfumato) -> None:
    text = sfumato("generate", "--help").out
    for words in ("--cfg-scale", "[0<=x<=100]", "Tiny options", "--tiny-hue", "Which hue.", "white|black"):
        assert words in text


@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "0"),
        ("--steps", "many"),
        ("--seed", str(2**32)),
        ("--tiny-hue", "2"),
        ("--tiny-paper", "red"),
        ("--sampler-option", "eta"),
        ("--stage", "grain=0.3"),
        ("--stage", "grain.strength"),
        ("--stepz", "3"),
        ("--model", "no-such-model", "--tiny-hue", "1"),
        ("--backend", "moon"),
        ("--file", "no-such-file.txt"),
    ],
)
def test_bad_input_ends_with_2_and_no_traceback(sfumato: Sfumato, words: tuple[str, ...]) -> None:
    outcome = sfumato("generate", "apple", *words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert any(word in outcome.err for word in words)


def test_several_prompts_make_several_pictures(sfumato: Sfumato) -> None:
    assert [r["prompt"] for r in requests(sfumato, "one", "two")] == ["one", "two"]


def test_a_file_holds_a_prompt_a_line(sfumato: Sfumato, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffein Apfel\r\n\n# not this\n  a pear  \n".encode())
    assert [r["prompt"] for r in requests(sfumato, "first", "--file", str(file))] == [
        "first",
        "ein Apfel",
        "a pear",
    ]


def test_prompts_are_read_from_a_pipe(sfumato: Sfumato) -> None:
    assert [r["prompt"] for r in requests(sfumato, stdin="one\ntwo\n")] == ["one", "two"]


def test_a_dash_stands_for_the_prompts_on_stdin(sfumato: Sfumato) -> None:
    assert [r["prompt"] for r in requests(sfumato, "first", "-", stdin="second\n")] == ["first", "second"]


def test_a_pipe_is_left_alone_when_prompts_are_given(sfumato: Sfumato) -> None:
    assert [r["prompt"] for r in requests(sfumato, "first", stdin="second\n")] == ["first"]


def test_no_prompt_at_all_is_bad_input(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", stdin="\n# nothing\n")
    assert outcome.code == 2
    assert "There is no prompt." in outcome.err


def test_a_failure_is_told_in_three_lines_and_ends_with_1(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "apple", "fail")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-3:] == ["Error: The brush broke.", "It was old.", "Buy a new one."]
    assert len(outcome.lines) == 1


def test_a_bug_is_one_line_and_its_traceback_only_on_request(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "crash")
    assert outcome.code == 1
    assert "Error: RuntimeError: no such colour\nThis is a bug" in outcome.err
    assert "Traceback" not in outcome.err
    assert "Traceback" in sfumato("-v", "generate", "crash").err


def test_progress_and_warnings_stay_off_stdout(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "apple")
    assert "Warning: The paint is wet." in outcome.err
    assert "batch 1 of 1: step 4 of 4, 2.0 it/s, 1:01 min left" in outcome.err
    assert len(outcome.lines) == 1


def test_progress_counts_the_prompts(sfumato: Sfumato) -> None:
    assert "prompt 2 of 2: batch 1 of 1" in sfumato("generate", "one", "two").err


def test_the_first_interrupt_keeps_finished_pictures(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "interrupt", "apple", "--count", "3")
    assert outcome.code == 130
    assert len(outcome.lines) == len(list(Path("outputs").iterdir())) == 1
    assert "1 finished picture was kept." in outcome.err


def test_the_second_interrupt_ends_at_once(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "interrupt twice", "--count", "3")
    assert outcome.code == 130
    assert "Traceback" not in outcome.err


def test_whoever_asks_for_more_is_told_where_the_work_was_interrupted(sfumato: Sfumato) -> None:
    outcome = sfumato("-v", "generate", "interrupt twice", "--count", "3")
    assert outcome.code == 130
    assert "in generate" in outcome.err
    assert "bug" not in outcome.err


def test_control_characters_do_not_reach_the_terminal(sfumato: Sfumato) -> None:
    outcome = sfumato("generate", "apple", "--model", "\x1b[31mred", "--tiny-hue", "1")
    assert outcome.code == 2
    assert "\x1b" not in outcome.err


def test_prompts_that_are_no_text_are_refused(settings_file: Path, tmp_path: Path) -> None:
    program = "import sys; from sfumato.cli import main; sys.exit(main(['generate', '-']))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=b"a \xff cat", capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert b"not text in UTF-8" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_paths_that_cannot_be_printed_are_told_and_the_pictures_kept(
    settings_file: Path, tmp_path: Path
) -> None:
    program = "import sys; from sfumato.cli import main; sys.exit(main(['generate', 'a', 'b', '--out', 'o']))"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environ,
            text=True,
        )
    assert done.returncode == 1
    assert "pictures are saved" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "o").iterdir())) == 2
