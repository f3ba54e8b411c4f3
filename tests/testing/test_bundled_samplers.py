"""Every bundled sampler and scheduler keeps the contract that plugins are held to."""

from __future__ import annotations

import pytest

from sfumato.testing import SamplerContract, SchedulerContract
from sfumato.testing.entries import Installation

REGISTRIES = Installation().registries
SAMPLERS = [entry.info.name for entry in REGISTRIES.samplers if entry.plugin == "samplers"]
SCHEDULERS = [entry.info.name for entry in REGISTRIES.schedulers if entry.plugin == "samplers"]


class TestEverySampler(SamplerContract):
    @pytest.fixture(scope="class", params=SAMPLERS)
    @classmethod
    def entry(cls, request: pytest.FixtureRequest, installation: Installation):
        return installation.registries.samplers.get(request.param)


class TestEveryScheduler(SchedulerContract):
    @pytest.fixture(scope="class", params=SCHEDULERS)
    @classmethod
    def entry(cls, request: pytest.FixtureRequest, installation: Installation):
        return installation.registries.schedulers.get(request.param)
