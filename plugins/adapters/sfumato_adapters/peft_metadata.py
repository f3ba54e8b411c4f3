"""What PEFT's configuration says of scales, as diffusers keeps it in a file's metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sfumato_adapters.kinds.scaling import TrainedScale

_KEY = "lora_adapter_metadata"
_KOHYA_ARGUMENTS = "ss_network_args"


class TrainedScales:
    """Scales of layers that have no alpha of their own."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._config = _json(metadata, _KEY)
        self._lycoris_takes_the_root = (
            str(_json(metadata, _KOHYA_ARGUMENTS).get("rs_lora", "")).lower() == "true"
        )

    def of(self, stem: str, kind: str) -> TrainedScale:
        """The scale of the layer that a file calls so."""
        # Names of settings begin with that of the network, as those of the layers do.
        network, _, layer = stem.partition(".")
        settings = {
            name.removeprefix(f"{network}."): value
            for name, value in self._config.items()
            if name.startswith(f"{network}.")
        }
        alpha = _of_layer(settings.get("alpha_pattern"), layer, settings.get("lora_alpha"))
        # LyCORIS writes an alpha that makes up for the root, except for GLoRA.
        left_to_the_reader = kind == "glora" and self._lycoris_takes_the_root
        return TrainedScale(_number(alpha), bool(settings.get("use_rslora")) or left_to_the_reader)


def _of_layer(patterns: Any, layer: str, default: Any) -> Any:
    """The value of the first pattern that the end of the layer's path matches, as PEFT reads them."""
    if isinstance(patterns, Mapping):
        for pattern, value in patterns.items():
            try:
                if re.match(rf"(.*\.)?({pattern})$", layer):
                    return value
            except re.error:
                continue
    return default


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _json(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        found = json.loads(metadata.get(key, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
