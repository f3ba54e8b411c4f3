"""Noise levels of a request, and the estimates that samplers are given."""

from __future__ import annotations

from typing import Any

import pytest

from sfumato.errors import BadInput, OutOfMemory, PluginError
from sfumato.noise_schedule import flow_schedule
from sfumato.request import GenerationRequest
from sfumato_engine.resolution import resolve
from sfumato_engine.sampling_pass import noise_levels

from .conftest import Workbench


def levels(workbench: Workbench, steps: int, sampler: str) -> list[float]:
    request = GenerationRequest(sampler=sampler, scheduler="simple", steps=steps)
    return noise_levels(resolve(request, workbench.context), flow_schedule(2.0))


@pytest.mark.parametrize("sampler", ["dpm_2", "dpm_2_ancestral", "dpmpp_3m_sde", "uni_pc"])
def test_some_samplers_leave_out_the_last_level_of_a_schedule_of_one_step_more(
    workbench: Workbench, sampler: str
) -> None:
    whole = levels(workbench, 6, "euler")
    assert levels(workbench, 5, sampler) == [*whole[:5], 0.0]
    assert levels(workbench, 1, sampler) == [whole[0], 0.0]


def test_more_steps_than_a_scheduler_has_levels_for_are_refused_by_name(workbench: Workbench) -> None:
    request = GenerationRequest(sampler="dpmpp_2m", scheduler="simple", steps=20)
    with pytest.raises(BadInput, match=r"'Simple' cannot make 20 steps .* fewer steps"):
        noise_levels(resolve(request, workbench.context), flow_schedule(2.0, levels=10))


@pytest.mark.parametrize("sampler", ["euler_cfg_pp", "euler_ancestral_cfg_pp", "ddim_cfg_pp"])
def test_cfg_plus_plus_evaluates_the_negative_prompt_at_any_scale(workbench: Workbench, sampler: str) -> None:
    for scale in (1.0, 1.5):
        workbench.generate("a cat", negative_prompt="a dog", seed=1, sampler=sampler, cfg_scale=scale)
        assert set(workbench.model.batches) == {2}
        assert workbench.generate(seed=1, sampler=sampler, cfg_scale=scale).warnings == ()


def test_a_sampler_whose_steps_suit_one_picture_is_given_one_at_a_time(workbench: Workbench) -> None:
    workbench.generate("a cat", seed=1, sampler="dpm_adaptive", batch_size=3, cfg_scale=1.0)
    assert set(workbench.model.batches) == {1}


@pytest.mark.parametrize("entry", ["dpm_fast", "dpm_adaptive", "restart", "lcm", "er_sde", "uni_pc", "deis"])
def test_every_kind_of_sampler_draws_the_same_picture_alone_and_in_a_batch(
    workbench: Workbench, entry: str
) -> None:
    from .test_generate import pixels

    alone = workbench.generate(seed=12, sampler=entry, steps=6).images[0]
    together = workbench.generate(seed=11, sampler=entry, steps=6, batch_size=3).images[1]
    assert abs(pixels(alone.path) - pixels(together.path)).max() <= 1


def add_sampler(workbench: Workbench, sampler: Any) -> None:
    registrar = workbench.registries.samplers.registrar("tester")
    registrar.add("odd", sampler, label="Odd")
    registrar.commit()


def test_a_sampler_that_raises_is_named_with_its_plugin(workbench: Workbench) -> None:
    def broken(denoise: Any, x: Any, sigmas: Any, context: Any) -> Any:
        raise ZeroDivisionError("no step")

    add_sampler(workbench, broken)
    with pytest.raises(PluginError, match=r"The sampler 'Odd' failed.*no step.*'tester'"):
        workbench.generate(seed=1, sampler="odd")


def test_a_sampler_that_gives_back_something_else_is_named(workbench: Workbench) -> None:
    add_sampler(workbench, lambda denoise, x, sigmas, context: None)
    with pytest.raises(PluginError, match=r"'Odd' failed.*no latents"):
        workbench.generate(seed=1, sampler="odd")


def test_the_models_faults_are_not_a_samplers(workbench: Workbench) -> None:
    def broken(*arguments: Any) -> Any:
        raise ZeroDivisionError("in the model")

    workbench.generate(seed=1)
    workbench.model.denoise = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError, match="in the model"):
        workbench.generate(seed=1)


def test_a_lack_of_memory_is_not_a_samplers_fault(workbench: Workbench) -> None:
    def large(denoise: Any, x: Any, sigmas: Any, context: Any) -> Any:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    add_sampler(workbench, large)
    with pytest.raises(OutOfMemory):
        workbench.generate(seed=1, sampler="odd")


def test_a_scheduler_that_raises_is_named_with_its_plugin(workbench: Workbench) -> None:
    def broken(steps: int, schedule: Any, options: Any) -> list[float]:
        raise IndexError("no level")

    registrar = workbench.registries.schedulers.registrar("tester")
    registrar.add("odd", broken, label="Odd")
    registrar.commit()
    with pytest.raises(PluginError, match=r"The scheduler 'Odd' failed.*no level.*'tester'"):
        workbench.generate(seed=1, scheduler="odd")
