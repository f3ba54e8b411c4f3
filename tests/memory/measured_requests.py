"""Requests that are drawn on a simulated device, to see whether they take more memory than before.

What they are to take lies in base.json beside this file. Where a change is meant to take more:
``python -m tests.memory.measured_requests`` writes that file anew.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_memory.records import MemoryRecords
from sfumato_memory.summaries import Report, summaries

BASE = Path(__file__).with_name("base.json")

WHOLE, STREAMED = "simulated:200M", "simulated:28M"
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (WHOLE, {"steps": 2, "width": 128, "height": 96, "batch_size": 2, "cfg_scale": 3.0}),
    (WHOLE, {"steps": 2, "hires": {"scale": 2.0, "steps": 2}}),
    (STREAMED, {"steps": 2}),
)
"""Devices and requests; on the smaller one not all weights of the embedded model fit at once."""


def measure(folder: Path) -> None:
    """Draw all of them; their records are in the database of this folder.

    The type is the same on every machine, and models are loaded anew for each request.
    """
    for device, fields in REQUESTS:
        overrides = {
            "general.data_folder": str(folder),
            "general.output_folder": str(folder / "pictures"),
            "engine.device": device,
            "engine.dtype": "float32",
        }
        studio = Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))
        studio.generate("a red apple", seed=1, **fields)
        studio.database.close()


def report(folder: Path) -> Report:
    """What the database of this folder has; the same twice, whatever the time and the versions."""
    studio = Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=_data(folder)))
    found = summaries(MemoryRecords(studio.database).find(), by_version=False)
    studio.database.close()
    plain = {"first": 0.0, "last": 0.0, "seconds": 0.0, "versions": {}}
    items = [one.model_copy(update={**plain, "phases": tuple(map(_timeless, one.phases))}) for one in found]
    return Report(made=0.0, items=tuple(items))


def _timeless(phase: Any) -> Any:
    return phase.model_copy(update={"seconds": 0.0})


def _data(folder: Path) -> dict[str, Any]:
    return {"general.data_folder": str(folder)}


def main() -> None:
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        measure(Path(folder))
        BASE.write_text(report(Path(folder)).model_dump_json(indent=1) + "\n")
        sys.stderr.write(f"{BASE} is written, after {time.monotonic() - began:.1f} s.\n")


if __name__ == "__main__":
    main()
