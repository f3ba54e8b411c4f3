"""The engine's memory figures: what models that are kept weigh, and nothing that was not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from safetensors import safe_open

from sfumato.memory import snapshot
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_engine.memory_source import memory_figures


def test_a_model_that_is_kept_is_told_with_the_bytes_of_its_weights(tmp_path: Path) -> None:
    overrides = {"general.output_folder": str(tmp_path), "engine.device": "cpu", "engine.dtype": "float32"}
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))
    assert memory_figures(studio.workspace).models == ()
    studio.generate("a red apple", steps=1, seed=1)
    (found,) = memory_figures(studio.workspace).models
    assert (found.model, found.device) == ("emoji", "cpu")
    path = studio.library.find("emoji").path
    with safe_open(path, "pt") as file:
        numbers = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    assert numbers * 2 <= found.size <= numbers * 4 * 1.2  # stored as float16, computed as float32
    assert snapshot(studio.registries, studio.workspace).models == (found,)


def test_a_process_without_torch_stays_without_it() -> None:
    program = (
        "import sys; from sfumato.studio import Studio; from sfumato.memory import snapshot;"
        "studio = Studio(); figures = snapshot(studio.registries, studio.workspace);"
        "assert figures.models == figures.devices == (); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
