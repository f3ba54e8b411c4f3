"""Pictures of the embedded model on devices of all sizes: the same ones, within the memory there is."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from sfumato import Studio
from sfumato.errors import BadInput, OutOfMemory
from sfumato.events import Event, StepCompleted, WorkMeasured
from sfumato.records import GenerationResult
from sfumato.request import GenerationRequest, Img2Img
from sfumato.settings import Settings
from sfumato_engine.model_manager import WORKSPACE_KEY, ModelManager
from sfumato_engine.residency.residency import Residency

from ...tiny_models.files import write_parts, write_transformer
from ...tiny_models.flux import TinyFlux

MB = 1_000_000
LORA = "a red apple <lora:all_blue:1>"


class Bench:
    """A studio on a simulated device, and what was measured of its last request."""

    def __init__(self, folder: Path, device: str, folders: Path | None = None, **engine: Any) -> None:
        keys = {"general.model_folders": f'["{folders}"]'} if folders else {}
        keys |= {
            "engine.device": device,
            "general.output_folder": str(folder),
            "general.data_folder": str(folder),
        }
        self.keys = keys | {f"engine.{name}": str(value) for name, value in engine.items()}
        self.studio = Studio(Settings.load(overrides=self.keys))
        self.events: list[Event] = []

    def settings_with(self, **engine: Any) -> Settings:
        """The studio's settings but for these of the engine."""
        changes = {f"engine.{name}": str(value) for name, value in engine.items()}
        return Studio(Settings.load(overrides=self.keys | changes)).settings

    def draw(self, prompt: str = "a red apple", on_event: Any = None, **fields: Any) -> GenerationResult:
        def hear(event: Event) -> None:
            self.events.append(event)
            if on_event:
                on_event(event)

        return self.studio.generate(prompt, on_event=hear, **{"seed": 1, "steps": 3, **fields})

    def pixels(self, prompt: str = "a red apple", **fields: Any) -> numpy.ndarray:
        (image,) = self.draw(prompt, **fields).images
        return numpy.asarray(Image.open(image.path))

    @property
    def measured(self) -> WorkMeasured:
        return [event for event in self.events if isinstance(event, WorkMeasured)][-1]

    @property
    def manager(self) -> ModelManager:
        manager: ModelManager = self.studio.workspace[WORKSPACE_KEY]
        return manager

    @property
    def residency(self) -> Residency:
        return self.manager.residency(self.studio.settings.engine)

    @property
    def held(self) -> int:
        gc.collect()
        assert self.residency._allocator is not None
        return self.residency._allocator.current


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Any]:
    made = []

    def make(size: str = "", **engine: Any) -> Bench:
        made.append(Bench(tmp_path, f"simulated:{size}" if size else "simulated", **engine))
        return made[-1]

    yield make
    for one in made:
        if WORKSPACE_KEY in one.studio.workspace:
            one.manager.idle.stop()


@pytest.mark.parametrize("prompt", ["a red apple", LORA])
def test_a_picture_is_the_same_however_little_memory_there_is(bench: Any, prompt: str) -> None:
    expected = bench().pixels(prompt)
    for size in ("60MB", "30MB", "8MB"):
        assert (bench(size).pixels(prompt) == expected).all(), size


def test_no_phase_takes_more_than_the_device_has_and_forecasts_come_close(bench: Any) -> None:
    for size in (100 * MB, 45 * MB, 30 * MB, 12 * MB):
        one = bench(str(size))
        one.draw()
        assert {phase.phase for phase in one.measured.phases} == {
            "loading",
            "encoding",
            "sampling",
            "decoding",
        }
        for phase in one.measured.phases:
            assert phase.peak <= size
        sampling = next(phase for phase in one.measured.phases if phase.phase == "sampling")
        assert sampling.predicted == pytest.approx(sampling.peak, rel=0.15)


def test_how_weights_are_placed_follows_the_room(bench: Any) -> None:
    plans = {}
    for size in ("100MB", "30MB", "12MB"):
        one = bench(size)
        one.draw()
        plans[size] = one.measured.plan
    assert plans["100MB"] == "whole"
    assert "transformer 8" in plans["30MB"]
    assert "resident" in plans["12MB"]


def test_the_plan_told_before_is_the_one_that_is_carried_out(bench: Any) -> None:
    for size in ("100MB", "30MB"):
        before = bench(size)
        plan = before.studio.run("memory_plan", GenerationRequest(prompt="a red apple", steps=3))
        before.draw()
        peaks = {phase.phase: phase.peak for phase in before.measured.phases}
        assert plan.fingerprint == before.measured.fingerprint
        assert plan.fits
        for phase in plan.phases:
            assert phase.predicted == pytest.approx(peaks[phase.phase], rel=0.15), (size, phase.phase)


def test_a_budget_of_the_user_is_kept(bench: Any) -> None:
    one = bench("", memory_budget=24)
    one.draw()
    assert all(phase.peak <= 24 << 20 for phase in one.measured.phases)
    assert one.measured.plan != "whole"


def test_work_that_can_never_fit_is_refused_before_it_begins(bench: Any) -> None:
    one = bench("2MB")
    with pytest.raises((BadInput, OutOfMemory), match="64x64"):
        one.draw()
    assert not any(isinstance(event, StepCompleted) for event in one.events)


def test_memory_that_runs_out_is_tried_once_more_with_less_and_told(bench: Any) -> None:
    expected = bench().pixels()
    one = bench("40MB")
    taken: list[torch.Tensor] = []

    def take(event: Event) -> None:
        """Somebody else takes what the plan had counted on."""
        if isinstance(event, StepCompleted) and not taken:
            taken.append(torch.empty(40 * MB - one.held - 1000, dtype=torch.uint8))

    result = one.draw(on_event=take)
    assert [warning for warning in result.warnings if "tried once more" in warning]
    assert one.measured.retried
    assert (numpy.asarray(Image.open(result.images[0].path)) == expected).all()


def test_memory_that_runs_out_twice_is_an_error_that_keeps_pictures(bench: Any) -> None:
    one = bench("40MB")
    taken: list[torch.Tensor] = []

    def take(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.batch == 1:
            taken.append(torch.empty(min(20 * MB, 40 * MB - one.held - 1000), dtype=torch.uint8))

    with pytest.raises(OutOfMemory, match="ran out"):
        one.draw(on_event=take, count=2)
    assert len(list(Path(one.studio.settings.general.output_folder).glob("*.png"))) == 1
    taken.clear()
    assert len(one.draw(count=2).images) == 2  # and the studio goes on


def test_fifty_switches_of_models_loras_and_types_leave_memory_where_it_began(
    bench: Any, tmp_path: Path
) -> None:
    write_parts(TinyFlux(), tmp_path)
    write_transformer(TinyFlux(), tmp_path / "diffusion_models" / "tiny.safetensors", torch.float16)
    one = bench("", folders=tmp_path, keep_models=1, keep_conditioning=0)
    packed = {name: one.settings_with(quantisation=name) for name in ("", "int8", "fp8_e4m3")}

    def switch(number: int) -> None:
        one.studio.settings = packed[("", "int8", "fp8_e4m3")[number // 4 % 3]]
        if number % 4 == 3:
            one.draw("a cat", model="tiny", steps=1, width=32, height=32)
        else:
            kind = ("auto", "bfloat16")[number % 2]
            one.draw(
                LORA if number % 4 else "a red apple", model_options={"transformer_dtype": kind}, steps=1
            )

    for number in range(12):  # each once: what is learned in the first use is kept
        switch(number)
    began = one.held
    for number in range(12, 62):
        switch(number)
    switch(11)
    assert one.held <= began * 1.01
    assert len(one.manager.models) == 1


def test_a_device_that_rests_is_freed_and_used_again(bench: Any) -> None:
    one = bench("100MB")
    before = one.pixels()
    assert one.held > 40 * MB
    one.manager.free_device()
    assert one.held < 2 * MB
    assert (one.pixels() == before).all()


def test_what_rests_leaves_the_device_by_itself(bench: Any) -> None:
    one = bench("100MB", idle_minutes=0.0005)
    one.draw()
    one.manager.idle.wait()
    assert one.held < 2 * MB


def test_weights_stored_in_the_type_they_compute_in_count_where_they_lie(bench: Any, tmp_path: Path) -> None:
    write_transformer(TinyFlux(), tmp_path / "diffusion_models" / "tiny.safetensors", torch.bfloat16)
    write_parts(TinyFlux(), tmp_path, torch.bfloat16)
    one = bench("2MB", folders=tmp_path)
    one.draw(model="tiny", width=32, height=32)
    assert one.held > 500_000
    one.manager.free_device()
    assert one.held < 100_000


def test_a_plan_tells_that_not_even_the_norms_of_a_model_fit(bench: Any) -> None:
    with pytest.raises(OutOfMemory, match="was loaded"):
        bench("10KB").studio.run("memory_plan", GenerationRequest(prompt="a red apple"))


def test_copies_that_adapters_made_give_way_to_a_larger_picture(bench: Any) -> None:
    one = bench("75MB", vae_tiling="never")
    one.draw(LORA)
    assert one.held > 60 * MB
    one.draw(LORA, width=272, height=272, steps=1)
    assert not one.measured.retried


def test_a_budget_holds_for_adapters_too(bench: Any) -> None:
    one = bench("", memory_budget=20)
    one.draw(LORA)
    one.draw(LORA)
    assert all(phase.peak <= 20 << 20 for phase in one.measured.phases)


def test_forecasts_take_in_what_adapters_hold(bench: Any) -> None:
    one = bench("42MB")
    one.draw(LORA)
    sampling = next(phase for phase in one.measured.phases if phase.phase == "sampling")
    assert sampling.peak <= sampling.predicted


def test_a_plan_that_is_asked_for_meanwhile_waits_and_changes_nothing(bench: Any) -> None:
    one, plans = bench("100MB"), []

    def plan() -> None:
        plans.append(one.studio.run("memory_plan", GenerationRequest(prompt="a red apple", steps=3)))

    asking = threading.Thread(target=plan)

    def ask(event: Event) -> None:
        if isinstance(event, StepCompleted) and not asking.ident:
            asking.start()
            asking.join(0.5)

    one.draw(on_event=ask)
    asking.join()
    assert plans[0].fits
    assert {phase.phase for phase in one.measured.phases} >= {"encoding", "sampling", "decoding"}


def test_a_plan_tells_what_encoding_a_picture_takes(bench: Any, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    one = bench("60MB")
    request = GenerationRequest(prompt="a", steps=3, seed=1, img2img=Img2Img(image=tmp_path / "red.png"))
    plan = one.studio.run("memory_plan", request)
    one.draw("a", img2img=request.img2img)
    (measured,) = (phase for phase in one.measured.phases if phase.phase == "encoding")
    foretold = max(phase.predicted for phase in plan.phases if phase.phase == "encoding")
    assert measured.peak <= foretold * 1.05
    assert measured.peak <= measured.predicted * 1.05
