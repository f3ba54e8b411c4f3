"""The training scripts stand beside the package, not in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins" / "model_emoji"
if str(PLUGIN) not in sys.path:
    sys.path.append(str(PLUGIN))


@pytest.fixture
def weights() -> Path:
    """The folder with the model's files."""
    return PLUGIN / "sfumato_model_emoji" / "weights"
