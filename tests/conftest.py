"""What every test gets: a home of its own, no network, few threads, and leave to skip without a GPU."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Before anything imports torch or a hub client; subprocesses inherit it.
os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})
# Tiny models gain nothing from threads, and on a busy machine threads waiting for each other cost minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell running the tests in the background ignores Ctrl-C, and programs started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test measures time: on a busy machine any example may take long.
settings.register_profile("sfumato", deadline=None)
settings.load_profile("sfumato")


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips `gpu` tests where there is no CUDA device; torch is imported only if there are any."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if not needing:
        return
    import torch

    if not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
