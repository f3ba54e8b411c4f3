"""`sfumato jobs` looks at the queue and changes it, with or without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfumato.cli import main
from sfumato.jobs.claiming import claim
from sfumato.studio import Studio


def test_a_job_is_queued_listed_cancelled_and_retried(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jobs", "submit", "draw", '{"name": "apple"}', "--key", "k"]) == 0
    assert main(["jobs", "submit", "draw", '{"name": "apple"}', "--key", "k"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == second
    job = first["job"]
    assert main(["jobs", "cancel", job[:6]]) == 0
    assert studio.jobs.get(job).state == "cancelled"
    assert main(["jobs", "retry", job]) == 0
    capsys.readouterr()
    assert main(["jobs"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["job", "kind", "state"]
    assert row.split()[:3] == [job, "draw", "queued"]
    assert main(["jobs", "list", "--json"]) == 0
    assert [listed["id"] for listed in json.loads(capsys.readouterr().out)] == [job]


def test_a_job_is_shown_with_its_problem(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    from sfumato.jobs.store import end

    job = studio.jobs.submit("draw", {})
    with studio.jobs.store.writing() as connection:
        row = claim(connection, "device", "worker", "")
        assert row is not None
        problem = {"what": "It failed.", "log": ["the last line"]}
        end(connection, row, "interrupted", problem=problem)
    assert main(["jobs", "show", job.id]) == 0
    shown = capsys.readouterr().out
    assert "interrupted" in shown
    assert "It failed." in shown
    assert "the last line" in shown
    assert main(["jobs", "show", job.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problem"]["what"] == "It failed."


@pytest.mark.parametrize(
    "words",
    [
        ["show", "nobody"],
        ["cancel", "nobody"],
        ["submit", "draw", "{"],
        ["submit", "draw", "[]"],
        ["submit", "daub", "{}"],
    ],
)
def test_what_cannot_be_is_bad_input(
    settings_file: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jobs", *words]) == 2
    assert "Error: " in capsys.readouterr().err
