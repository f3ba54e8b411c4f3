"""The contract as a pytest suite: a plugin's tests subclass a contract and name what they test.

```python
from sfumato.testing import SamplerContract


class TestMidpoint(SamplerContract):
    name = "midpoint"
```

Every contract finds what it tests as a studio does, through the entry point of the installed plugin, and
tests what users rely on. Some need something tiny to work on, which the class then supplies
(`ModelFamilyContract` a checkpoint, `WeightFormatContract` a file, `AdapterContract` both). Needs the extra
``sfumato-kernel[testing]``; `docs/plugins.md` tells more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sfumato.testing.adapters import AdapterContract
    from sfumato.testing.families import ModelFamilyContract
    from sfumato.testing.formats import WeightFormatContract
    from sfumato.testing.pages import PageContract, PanelContract, RoutesContract
    from sfumato.testing.plugin import PluginContract
    from sfumato.testing.samplers import SamplerContract
    from sfumato.testing.schedulers import SchedulerContract
    from sfumato.testing.stages import StageContract
    from sfumato.testing.trainers import TrainerContract
    from sfumato.testing.upscalers import FaceRestorerContract, UpscalerContract

__all__ = [
    "FaceRestorerContract",
    "AdapterContract",
    "ModelFamilyContract",
    "PageContract",
    "PanelContract",
    "PluginContract",
    "RoutesContract",
    "SamplerContract",
    "SchedulerContract",
    "StageContract",
    "TrainerContract",
    "UpscalerContract",
    "WeightFormatContract",
]

_HOMES = {
    "FaceRestorerContract": "sfumato.testing.upscalers",
    "AdapterContract": "sfumato.testing.adapters",
    "ModelFamilyContract": "sfumato.testing.families",
    "PageContract": "sfumato.testing.pages",
    "PanelContract": "sfumato.testing.pages",
    "PluginContract": "sfumato.testing.plugin",
    "RoutesContract": "sfumato.testing.pages",
    "SamplerContract": "sfumato.testing.samplers",
    "SchedulerContract": "sfumato.testing.schedulers",
    "StageContract": "sfumato.testing.stages",
    "TrainerContract": "sfumato.testing.trainers",
    "UpscalerContract": "sfumato.testing.upscalers",
    "WeightFormatContract": "sfumato.testing.formats",
}

# Before the modules are imported, or a failing `assert` of theirs would not show its values.
pytest.register_assert_rewrite("sfumato.testing.entries", *_HOMES.values())


def __getattr__(name: str) -> Any:
    """A contract is imported with what it needs when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sfumato.testing' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
