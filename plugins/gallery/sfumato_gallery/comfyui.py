"""What a graph that ComfyUI ran tells of its picture.

The graph is JSON, the "prompt" of its API:
``{node: {"class_type": name, "inputs": {input: value or [node, output]}}}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_MOST_HOPS = 32
_TEXTS = ("text", "text_g", "text_l", "t5xxl", "clip_l", "prompt", "string", "value")
_MODELS = ("ckpt_name", "unet_name", "model_name")


def facts_of(graph: str) -> dict[str, Any]:
    """Fields of `PictureFacts`; those that the graph does not tell are left out. Nothing is an error."""
    try:
        nodes = json.loads(graph)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(nodes, dict):
        return {}
    inputs = {key: node["inputs"] for key, node in nodes.items()
              if isinstance(node, dict) and isinstance(node.get("inputs"), dict)}  # fmt: skip
    facts: dict[str, Any] = {"loras": tuple(_names(inputs.values(), ("lora_name",)))}
    facts["model"] = next(_names(inputs.values(), _MODELS), "")
    sampling: dict[str, Any] | None = next(
        (node for node in inputs.values() if "positive" in node and "steps" in node), None
    )
    sampling = sampling or next((node for node in inputs.values() if "steps" in node), None) or {}
    facts["seed"] = _integer(next((_value(node[key], inputs) for node in (sampling, *inputs.values())
                                   for key in ("seed", "noise_seed") if key in node), None))  # fmt: skip
    facts["steps"] = _integer(sampling.get("steps"))
    facts["cfg"] = _number(sampling.get("cfg"))
    facts["sampler"] = _string(next(iter(_names((sampling, *inputs.values()), ("sampler_name",))), ""))
    facts["prompt"] = _text(sampling.get("positive"), inputs) or _longest_text(inputs)
    facts["negative_prompt"] = _text(sampling.get("negative"), inputs)
    return {key: value for key, value in facts.items() if value not in (None, "", ())}


def _names(nodes: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Names in these inputs, without folders and suffixes."""
    for node in nodes:
        for key in keys:
            if isinstance(node.get(key), str) and node[key]:
                name = node[key].replace("\\", "/").rpartition("/")[2]
                yield (
                    name.rpartition(".")[0]
                    if name.endswith((".safetensors", ".ckpt", ".pt", ".gguf"))
                    else name
                )


def _text(link: Any, inputs: Mapping[str, Any]) -> str:
    """The text behind a conditioning: links are followed until a node has one."""
    for _ in range(_MOST_HOPS):
        node = inputs.get(str(link[0])) if isinstance(link, list) and link else None
        if node is None:
            return link if isinstance(link, str) else ""
        for key in _TEXTS:
            if isinstance(node.get(key), str):
                return str(node[key])
        link = next((node[key] for key in (*_TEXTS, "conditioning", "conditioning_1", "positive")
                     if isinstance(node.get(key), list)), None)  # fmt: skip
    return ""


def _longest_text(inputs: Mapping[str, Any]) -> str:
    texts = [node["text"] for node in inputs.values() if isinstance(node.get("text"), str)]
    return max(texts, key=len, default="")


def _value(value: Any, inputs: Mapping[str, Any]) -> Any:
    """A value, or that of the primitive it is linked to."""
    if isinstance(value, list) and value:
        node = inputs.get(str(value[0]), {})
        return next((node[key] for key in ("seed", "noise_seed", "value", "int") if key in node), None)
    return value


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
