"""The engine's memory figures: what models that are kept weigh, and nothing that was not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sfumato.memory import snapshot
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_engine.counting_allocator import CountingAllocator
from sfumato_engine.memory_source import SIMULATED_KEY, memory_figures
from sfumato_engine.model_manager import WORKSPACE_KEY, ModelManager
from sfumato_networks.formats import SafetensorsFormat
from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.tensor import WeightTensor


def test_a_model_that_is_kept_is_told_with_the_bytes_of_its_weights(tmp_path: Path) -> None:
    overrides = {"general.output_folder": str(tmp_path), "engine.device": "cpu", "engine.dtype": "float32"}
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))
    assert memory_figures(studio.workspace).models == ()
    studio.generate("a red apple", steps=1, seed=1)
    found = memory_figures(studio.workspace).models
    assert {(one.model, one.device) for one in found} == {("emoji", "cpu")}
    assert [one.part for one in found] == ["transformer", "clip_text", "t5_encoder", "autoencoder"]
    path = studio.library.find("emoji").path
    with safe_open(path, "pt") as file:
        numbers = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    assert numbers * 2 <= sum(one.size for one in found) <= numbers * 4 * 1.2  # float16, computed as float32
    assert snapshot(studio.registries, studio.workspace).models == found


def test_a_process_without_torch_stays_without_it() -> None:
    program = (
        "import sys; from sfumato.studio import Studio; from sfumato.memory import snapshot;"
        "studio = Studio(); figures = snapshot(studio.registries, studio.workspace);"
        "assert figures.models == figures.devices == (); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_part_is_told_as_it_is_stored_by_where_that_lies(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"packed": torch.zeros(64, 32, dtype=torch.uint8)}, file)
    packed = SafetensorsFormat().open_tensors(file)["packed"]
    layer = torch.nn.Linear(32, 64)  # a bias of 64 float32
    stored = PlainWeight(packed.view(torch.float8_e4m3fn), torch.ones(64))
    layer.weight = torch.nn.Parameter(WeightTensor(stored, torch.bfloat16), requires_grad=False)
    shared = torch.nn.Sequential(layer)
    model = SimpleNamespace(info=SimpleNamespace(name="tiny"), networks={"first": layer, "second": shared})
    manager = ModelManager()
    manager.models.capacity = 1
    manager.models.get("key", lambda: SimpleNamespace(model=model))
    (found,) = memory_figures({WORKSPACE_KEY: manager}).models
    assert (found.model, found.part, found.device) == ("tiny", "first", "cpu")
    assert found.size == 64 * 32 + 64 * 4 + 64 * 4
    assert found.mapped == 64 * 32


def test_a_simulated_device_is_told_as_any_other() -> None:
    allocator = CountingAllocator(10_000)
    with allocator:
        kept = torch.zeros(1000)
        torch.zeros(500)
    (device,) = memory_figures({SIMULATED_KEY: allocator}).devices
    assert (device.total, device.free, device.allocated, device.peak) == (10_000, 6_000, 4_000, 6_000)
    assert kept.numel() == 1000
