"""What every test gets: a home of its own, no network, few threads, and leave to skip without a GPU."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import distribution
from types import ModuleType

import pytest
from hypothesis import settings

from .chromium import chromium as chromium
from .postgresql import postgresql as postgresql

# Before anything imports torch or a hub client; subprocesses inherit it.
os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})
# Tiny models gain nothing from threads, and on a busy machine threads waiting for each other cost minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell running the tests in the background ignores Ctrl-C, and programs started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test measures time: on a busy machine any example may take long.
settings.register_profile("sfumato", deadline=None)
# What decides whether a change lands must not fail by chance: new examples are looked for by people.
settings.register_profile("the same every time", deadline=None, derandomize=True)
settings.load_profile("the same every time" if os.environ.get("CI") else "sfumato")
if importlib.util.find_spec("torchvision"):  # before transformers or diffusers import it
    from sfumato_networks.torchvision_operators import declare_where_missing

    declare_where_missing()


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Settings, caches, models and results of the person running the tests stay out of reach."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith("SFUMATO_")]:
            patch.delenv(variable)
        patch.setenv("SFUMATO_CONFIG", str(home / "settings.toml"))
        for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA", "LOCALAPPDATA"):
            patch.setenv(variable, str(home / variable.lower()))
        yield


@pytest.fixture(scope="session")
def k_sampling() -> ModuleType:
    """An oracle, `k_diffusion.sampling` alone: its package would import torchvision, clip and others."""
    pytest.importorskip("torchsde")
    utils, solver = ModuleType("k_diffusion.utils"), ModuleType("torchdiffeq")
    utils.append_dims = lambda value, ndim: value[(...,) + (None,) * (ndim - value.ndim)]
    package = ModuleType("k_diffusion")
    package.utils, solver.odeint = utils, None
    path = distribution("k-diffusion").locate_file("k_diffusion/sampling.py")
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for stand_in in (package, utils, solver):
            patch.setitem(sys.modules, stand_in.__name__, stand_in)
        spec.loader.exec_module(module)
    return module


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips `gpu` tests where there is no CUDA device; torch is imported only if there are any."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if not needing:
        return
    import torch

    if not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[pytest.TestReport]:
    """What a test has said is sent from process to process, and half of a surrogate pair cannot be."""
    report: pytest.TestReport = yield  # type: ignore[misc]
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report
