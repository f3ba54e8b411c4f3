"""The engine's memory figures: what models that are kept weigh, and nothing that was not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sfumato.events import Event, ImageSaved, WorkMeasured
from sfumato.memory import snapshot
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_engine.memory_source import memory_figures
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


@pytest.fixture
def simulated(tmp_path: Path) -> Studio:
    overrides = {
        "general.output_folder": str(tmp_path),
        "engine.device": "simulated:200MB",
        "engine.dtype": "float32",
    }
    return Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))


def measured_peak(events: list[Event]) -> int:
    return max(phase.peak for each in events if isinstance(each, WorkMeasured) for phase in each.phases)


def test_a_simulated_device_is_told_as_any_other(simulated: Studio) -> None:
    events: list[Event] = []
    simulated.generate("a red apple", steps=1, seed=1, on_event=events.append)
    figures = snapshot(simulated.registries, simulated.workspace)
    (device,) = figures.devices
    assert (device.device, device.total) == ("simulated", 200_000_000)
    assert 0 < device.allocated == device.reserved == device.total - device.free
    assert {one.device for one in figures.models} == {"simulated"}
    assert sum(one.size for one in figures.models) <= device.allocated


def test_the_peak_of_a_device_is_that_of_all_phases_of_the_newest_request(simulated: Studio) -> None:
    def peaks(**fields: int) -> list[int]:
        events: list[Event] = []
        simulated.generate("a red apple", steps=1, seed=1, on_event=events.append, **fields)
        return [measured_peak(events), snapshot(simulated.registries, simulated.workspace).devices[0].peak]

    large, small = peaks(width=128, height=128), peaks()
    assert large[0] == large[1] > small[0] == small[1]


def test_the_peak_is_told_while_work_goes_on(simulated: Studio) -> None:
    seen: list[int] = []
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, ImageSaved):
            (device,) = snapshot(simulated.registries, simulated.workspace).devices
            seen.append(device.peak)

    simulated.generate("a red apple", steps=1, seed=1, on_event=listen)
    assert seen == [measured_peak(events)]


def test_where_the_processor_computes_the_process_has_a_peak(tmp_path: Path) -> None:
    overrides = {"general.output_folder": str(tmp_path), "engine.device": "cpu"}
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))
    assert snapshot(studio.registries, studio.workspace).peak == 0
    events: list[Event] = []
    studio.generate("a red apple", steps=1, seed=1, on_event=events.append)
    figures = snapshot(studio.registries, studio.workspace)
    assert figures.peak == measured_peak(events) > 0
    assert figures.devices == ()
