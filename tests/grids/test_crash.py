"""A grid whose process is killed at any moment goes on as if nothing had been."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sfumato.request import GridRequest

from .conftest import Drawing, apples, axis, pixels

GRID = GridRequest(base=apples(steps=2), x=axis("seed", "1-3"), y=axis("Prompt S/R", "red", "blue"))

KILLED_AGAIN_AND_AGAIN = """
import os, random, signal, sys, time
import torch  # once, before the forks
from sfumato.request import GridRequest
from sfumato.settings import Settings
from sfumato.studio import Studio
from pathlib import Path

folder, text = Path(sys.argv[1]), sys.argv[2]
settings = Settings.load(file=folder / "none.toml", environ={}, overrides={"engine.device": "cpu"})
studio, grid, delays = Studio(settings), GridRequest.model_validate_json(text), random.Random(4)
killed = 0
for attempt in range(6):
    child = os.fork()
    if not child:
        try:
            studio.run("grid", grid, output_folder=folder)
        finally:
            os._exit(0)
    time.sleep(delays.uniform(0.05, 0.6))
    os.kill(child, signal.SIGKILL)
    killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
print(killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked to be killed quickly")
def test_every_cell_is_drawn_once_however_often_the_process_is_killed(draw: Drawing, tmp_path: Path) -> None:
    script = [sys.executable, "-c", KILLED_AGAIN_AND_AGAIN, str(draw.folder), GRID.model_dump_json()]
    draw.folder.mkdir()
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) >= 1
    result = draw(GRID)
    whole = Drawing(draw.studio, tmp_path / "whole")(GRID)
    for cell, other in zip(result.cells, whole.cells, strict=True):
        assert cell.images[0].seed == other.images[0].seed
        assert np.array_equal(pixels(cell.images[0].path), pixels(other.images[0].path))
    pictures = {cell.images[0].path for cell in result.cells} | {sheet.path for sheet in result.sheets}
    assert set(draw.folder.glob("*.png")) == pictures
    assert len(pictures) == 6 + 1
