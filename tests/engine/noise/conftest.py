"""The oracle of the Brownian tree: k-diffusion's own, without the heavy imports of its package."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from importlib.metadata import distribution
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tree_noise_sampler() -> Any:
    """The class `k_diffusion.sampling.BrownianTreeNoiseSampler`."""
    pytest.importorskip("torchsde")
    path = distribution("k-diffusion").locate_file("k_diffusion/sampling.py")
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    module = importlib.util.module_from_spec(spec)
    package, solver = ModuleType("k_diffusion"), ModuleType("torchdiffeq")
    package.utils, solver.odeint = ModuleType("k_diffusion.utils"), None
    stand_ins = {"k_diffusion": package, "k_diffusion.utils": package.utils, "torchdiffeq": solver}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, stand_in in stand_ins.items():
            patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)
    return module.BrownianTreeNoiseSampler
