"""Requests made definite, and refused where they cannot be."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from sfumato.errors import BadInput, UnknownName
from sfumato.request import RANDOM_SEED, SEED_LIMIT, GenerationRequest
from sfumato_engine.resolution import ResolvedRequest, checked_options, resolve

from .conftest import Workbench
from .gaussian_model import OneModelLibrary


def resolved(workbench: Workbench, **fields: Any) -> ResolvedRequest:
    return resolve(GenerationRequest(**fields), workbench.context)


def test_open_fields_take_the_models_defaults(workbench: Workbench) -> None:
    request = resolved(workbench).request
    assert (request.model, request.sampler, request.scheduler, request.steps) == ("gauss", "euler", "flow", 4)
    assert (request.width, request.height, request.cfg_scale) == (32, 32, 2.0)


def test_labels_and_aliases_become_permanent_names(workbench: Workbench) -> None:
    request = resolved(workbench, sampler="Euler A", scheduler="KARRAS").request
    assert (request.sampler, request.scheduler) == ("euler_ancestral", "karras")


def test_an_open_seed_is_drawn_once(workbench: Workbench) -> None:
    first, second = resolved(workbench), resolved(workbench)
    assert 0 <= first.request.seed < SEED_LIMIT
    assert first.request.seed != second.request.seed


def test_an_open_seed_does_not_follow_the_programs_own_random_numbers(workbench: Workbench) -> None:
    seeds = []
    for _ in range(2):
        random.seed(0)
        seeds.append(resolved(workbench).request.seed)
    assert seeds[0] != seeds[1]


def test_a_model_of_noise_predictions_takes_the_scheduler_that_a_chosen_sampler_prefers(
    workbench: Workbench,
) -> None:
    context = workbench.context
    library: Any = context.library
    defaults = library.info.defaults.model_copy(update={"sampler": "dpmpp_2m", "scheduler": "simple"})
    library.info = library.info.model_copy(update={"prediction": "eps", "defaults": defaults})

    def scheduler(**fields: Any) -> str | None:
        return resolve(GenerationRequest(**fields), context).request.scheduler

    assert scheduler(sampler="dpmpp_2m") == "karras"
    assert scheduler(sampler="dpmpp_2m", scheduler="normal") == "normal"
    assert scheduler() == "simple"


def test_seeds_count_up_and_stay_seeds(workbench: Workbench) -> None:
    last = resolved(workbench, seed=SEED_LIMIT - 1)
    assert [last.seed(index) for index in range(2)] == [SEED_LIMIT - 1, 0]


def test_a_misspelt_sampler_offers_the_nearest(workbench: Workbench) -> None:
    with pytest.raises(UnknownName, match="Euler a"):
        resolved(workbench, sampler="eulera")


def test_a_misspelt_scheduler_and_model_are_answered_too(workbench: Workbench) -> None:
    with pytest.raises(UnknownName, match="Karras"):
        resolved(workbench, scheduler="karas")
    with pytest.raises(UnknownName, match="gauss"):
        resolved(workbench, model="gaus")


def test_a_scheduler_for_other_models_is_refused_with_those_that_fit(workbench: Workbench) -> None:
    registrar = workbench.registries.schedulers.registrar("test")
    registrar.add("leading", "nowhere:leading", label="Leading", predictions=("eps",))
    registrar.commit()
    with pytest.raises(BadInput, match=r"predicts 'flow'.*Choose one of: .*karras"):
        resolved(workbench, scheduler="leading")


def test_flow_models_keep_their_own_scheduler_whatever_the_sampler_prefers(workbench: Workbench) -> None:
    assert resolved(workbench, sampler="dpmpp_2m").request.scheduler == "flow"


def test_sampler_options_are_completed_and_split(workbench: Workbench) -> None:
    request = resolved(
        workbench, sampler="euler_a", scheduler="karras", sampler_options={"eta": "0.5", "rho": 7}
    )
    assert request.sampler_options == {"eta": 0.5, "s_noise": 1.0}
    assert request.scheduler_options == {"rho": 7.0, "sigma_min": 0.0, "sigma_max": 0.0}
    assert request.request.sampler_options == {"eta": 0.5}


def test_another_sampler_can_be_put_into_a_resolved_request(workbench: Workbench) -> None:
    first = resolved(workbench, sampler="euler", model_options={"length": 4}).request
    varied = resolve(first.model_copy(update={"sampler": "euler_ancestral"}), workbench.context).request
    assert (varied.sampler, varied.model_options) == ("euler_ancestral", {"length": 4})


def test_options_that_a_model_prefers_are_kept_and_can_be_taken_back(workbench: Workbench) -> None:
    context = workbench.context
    context.library.info = context.library.info.model_copy(update={"options": {"length": 4}})  # type: ignore[attr-defined]
    preferred = resolve(GenerationRequest(), context)
    assert (preferred.model_options["length"], preferred.request.model_options) == (4, {})
    default = resolve(GenerationRequest(model_options={"length": 8}), context)
    assert default.request.model_options == {"length": 8}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"etta": 1}, "eta"), ({"eta": -1}, "It goes from 0"), ({"eta": "much"}, "needs a float")],
)
def test_sampler_options_that_cannot_be_are_refused(
    workbench: Workbench, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        resolved(workbench, sampler="euler_a", sampler_options=options)


def test_choices_and_switches_are_checked(workbench: Workbench) -> None:
    options = workbench.registries.samplers.get("dpmpp_2m_sde").info.options
    assert checked_options(options, {"solver_type": "heun"})["solver_type"] == "heun"
    with pytest.raises(UnknownName, match="midpoint"):
        checked_options(options, {"solver_type": "midpiont"})


def test_model_options_are_checked_by_the_family(workbench: Workbench) -> None:
    assert resolved(workbench, model_options={"length": "4"}).model_options["length"] == 4
    with pytest.raises(UnknownName, match="guidance"):
        resolved(workbench, model_options={"guidanse": 2})
    with pytest.raises(BadInput, match="'length' cannot be '0'"):
        resolved(workbench, model_options={"length": 0})


def test_a_negative_prompt_without_effect_is_told(workbench: Workbench) -> None:
    assert workbench.generate(negative_prompt="blue", cfg_scale=1).warnings
    assert not workbench.generate(negative_prompt="blue").warnings


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"sampler": "DPM++ 2M Karras"}, ("dpmpp_2m", "karras")),
        ({"sampler": "DPM++ 2M Karras", "scheduler": "simple"}, ("dpmpp_2m", "simple")),
        ({"sampler": "euler", "scheduler": "Automatic"}, ("euler", "flow")),
        ({"sampler": "FlowMatchEulerDiscreteScheduler"}, ("euler", "flow")),
    ],
)
def test_one_name_may_stand_for_sampler_and_scheduler(
    workbench: Workbench, asked: dict[str, str], found: tuple[str, str]
) -> None:
    request = resolved(workbench, **asked).request
    assert (request.sampler, request.scheduler) == found


def test_a_variation_seed_left_open_is_drawn_once_and_kept(workbench: Workbench) -> None:
    request = resolved(workbench, variation_strength=0.3, seed=7)
    assert request.request.variation_seed >= 0
    assert [request.seed(number) for number in range(3)] == [7, 7, 7]
    first = request.variation_seed(0)
    assert [request.variation_seed(number) for number in range(2)] == [first, (first + 1) % SEED_LIMIT]
    assert resolved(workbench, seed=7).request.variation_seed == RANDOM_SEED


def test_options_that_a_family_prefers_hold_where_the_sampler_has_them_and_nothing_else_is_asked_for(
    workbench: Workbench,
) -> None:
    defaults = workbench.context.library.find(None).defaults
    preferred = defaults.model_copy(update={"sampler_options": {"eta": 0.25, "table": "sdxl"}})
    library = OneModelLibrary(workbench.model_file)
    library.info = library.info.model_copy(update={"defaults": preferred})
    context = replace(workbench.context, library=library)  # type: ignore[arg-type]

    def options(**asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        found = resolve(GenerationRequest(**asked), context)
        return found.sampler_options, dict(found.request.sampler_options)

    assert options(sampler="euler_ancestral")[0]["eta"] == 0.25
    assert options(sampler="euler_ancestral")[1] == {}
    assert options(sampler="euler_ancestral", sampler_options={"eta": 1.0})[1] == {"eta": 1.0}
    assert "eta" not in options(sampler="euler")[0]
