"""The schedule that ends at a given level, beside diffusers' scheduler."""

from __future__ import annotations

import numpy as np
import pytest

from sfumato.errors import BadInput
from sfumato.noise_schedule import flow_schedule, variance_exploding_schedule
from sfumato.testing import SchedulerContract
from sfumato_models_diffusers.terminal_schedule import flow_to_terminal


@pytest.mark.parametrize(("steps", "shift", "terminal"), [(2, 1.0, 0.02), (20, 2.3, 0.02), (50, 3.0, 0.1)])
def test_the_levels_are_those_of_diffusers(steps: int, shift: float, terminal: float) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift, shift_terminal=terminal)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps).tolist())
    found = flow_to_terminal(steps, flow_schedule(shift), {"terminal": terminal})
    np.testing.assert_allclose(found, scheduler.sigmas.numpy(), atol=1e-6)


def test_one_step_goes_from_noise_to_the_picture() -> None:
    assert flow_to_terminal(1, flow_schedule(3.0), {"terminal": 0.02}) == [1.0, 0.0]


def test_other_kinds_of_models_are_refused() -> None:
    with pytest.raises(BadInput, match="does not suit"):
        flow_to_terminal(4, variance_exploding_schedule([0.9, 0.5, 0.1]), {"terminal": 0.02})


class TestFlowToTerminal(SchedulerContract):
    name = "flow_to_terminal"
