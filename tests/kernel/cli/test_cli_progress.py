"""How progress is told: in words, in lines, and as a bar."""

from __future__ import annotations

import io

import pytest

from sfumato.cli.progress import BarProgress, LineProgress, describe, rate, time_left
from sfumato.events import PhaseStarted, StepCompleted, Warned


def step(number: int, batch: int = 0) -> StepCompleted:
    return StepCompleted(step=number, steps=20, batch=batch, batches=2, steps_per_second=4, seconds_left=10)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3:05 min"), (7620, "2:07 h")]
)
def test_time_left_is_told_in_people_units(seconds: float, words: str) -> None:
    assert time_left(seconds) == words


def test_a_rate_below_one_is_told_as_seconds_a_step() -> None:
    assert (rate(4), rate(0.25)) == ("4.0 it/s", "4.0 s/it")


def test_a_step_is_told_with_batch_rate_and_time_left() -> None:
    assert describe(step(5, batch=1)) == "batch 2 of 2: step 5 of 20, 4.0 it/s, 10 s left"


def test_the_subject_comes_first() -> None:
    assert describe(step(5), "prompt 2 of 3").startswith("prompt 2 of 3: batch 1 of 2: step 5 of 20")


def test_a_log_gets_a_line_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    with LineProgress() as progress:
        for number in range(1, 21):
            progress(step(number))
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["batch 1 of 2: step 20 of 20, 4.0 it/s, 10 s left"]
    assert captured.out == ""


def test_the_bar_counts_the_steps_of_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with BarProgress() as progress:
        progress(PhaseStarted(phase="loading", detail="[red]dot"))
        assert progress.state.description == r"Loading \[red]dot"
        progress(step(5, batch=1))
        assert (progress.state.completed, progress.state.total) == (25, 40)
        assert progress.state.fields["detail"] == describe(step(5, batch=1))
        progress(PhaseStarted(phase="upscaling", detail="a.png"))
        progress(step(1))
        assert progress.state.description == "Upscaling a.png", "steps are those of the phase that began last"


def test_a_warning_is_told_beside_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    with BarProgress() as progress:
        progress(Warned(message="[b]wet[/b]"))
    assert "Warning: [b]wet[/b]" in stderr.getvalue()
