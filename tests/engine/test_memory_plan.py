"""What is planned for a request is what is foretold while it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sfumato.events import Event, WorkMeasured
from sfumato.request import GenerationRequest
from sfumato.settings import Settings
from sfumato.studio import Studio


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a pear AND an apple AND a bowl", "cfg_scale": 3.0},
        {"width": 256, "height": 256},
        {"hires": {"scale": 2.0, "steps": 1}},
        {"refiner": {"model": "emoji"}},
    ],
)
def test_a_plan_foretells_what_the_request_foretells(tmp_path: Path, fields: dict[str, Any]) -> None:
    overrides = {
        "general.output_folder": str(tmp_path),
        "general.data_folder": str(tmp_path),
        "engine.device": "simulated:400MB",
        "engine.dtype": "float32",
    }
    asked = GenerationRequest.model_validate({"prompt": "a pear", "seed": 1, "steps": 2, **fields})
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))
    plan = studio.run("memory_plan", asked)
    events: list[Event] = []
    studio.generate(asked, on_event=events.append)
    (measured,) = (event for event in events if isinstance(event, WorkMeasured))
    assert plan.fingerprint == measured.fingerprint
    planned = {
        one.phase: max(each.predicted for each in plan.phases if each.phase == one.phase)
        for one in plan.phases
    }
    told = {one.phase: one.predicted for one in measured.phases if one.phase in planned}
    assert planned == pytest.approx(told, rel=0.01)
