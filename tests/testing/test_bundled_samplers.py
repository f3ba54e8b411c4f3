"""Every bundled sampler and scheduler keeps the contract that plugins are held to."""

from __future__ import annotations

import pytest

from sfumato.testing import SamplerContract
from sfumato.testing.entries import Installation

REGISTRIES = Installation().registries
SAMPLERS = [entry.info.name for entry in REGISTRIES.samplers if entry.plugin == "samplers"]


class TestEverySampler(SamplerContract):
    @pytest.fixture(scope="class", params=SAMPLERS)
    @classmethod
    def entry(cls, request: pytest.FixtureRequest, installation: Installation):
        return installation.registries.samplers.get(request.param)
