"""The face of the plugin models_sd to the kernel."""

from __future__ import annotations

SFUMATO_API = "1.0"
