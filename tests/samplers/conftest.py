"""The samplers' oracle: k-diffusion's sampling module, without the heavy imports of its package."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from importlib.metadata import distribution
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def k_sampling() -> ModuleType:
    """`k_diffusion.sampling` alone: its package would import torchvision, clip and others not needed here."""
    pytest.importorskip("torchsde")
    package = ModuleType("k_diffusion")
    package.utils = ModuleType("k_diffusion.utils")
    package.utils.append_dims = lambda value, ndim: value[(...,) + (None,) * (ndim - value.ndim)]
    solver = ModuleType("torchdiffeq")
    solver.odeint = None
    path = distribution("k-diffusion").locate_file("k_diffusion/sampling.py")
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    module = importlib.util.module_from_spec(spec)
    stand_ins = {"k_diffusion": package, "k_diffusion.utils": package.utils, "torchdiffeq": solver}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, stand_in in stand_ins.items():
            patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)
    return module
