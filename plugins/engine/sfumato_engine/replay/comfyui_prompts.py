"""What ComfyUI's graphs say to a model: prompts, and LoRAs as A1111's tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PureWindowsPath

from sfumato_engine.replay.comfyui_graph import Graph, Node

CHECKPOINTS: Mapping[str, str] = {
    "CheckpointLoaderSimple": "ckpt_name",
    "CheckpointLoader": "ckpt_name",
    "UNETLoader": "unet_name",
    "UnetLoaderGGUF": "unet_name",
}
"""Nodes that load a model, and where they name its file."""
LORAS = ("LoraLoader", "LoraLoaderModelOnly")

_MODEL = {**dict.fromkeys(CHECKPOINTS, ()), "": ("model",)}
_CLIP = {**dict.fromkeys(CHECKPOINTS, ()), "": ("clip",)}
_CONDITIONING = {"": ("conditioning", "conditioning_to", "conditioning_1", "positive")}
_JOINED = {"ConditioningCombine": " AND ", "ConditioningConcat": " BREAK "}
_TEXTS = ("text", "text_g", "text_l", "t5xxl", "clip_l", "clip_g")
_BRACKET = re.compile(r"(?<!\\)([\[\]])")
_EMBEDDING = re.compile(r"\bembedding:([\w./\\-]+?)(\.safetensors|\.pt|\.bin)?(?=[\s,:()\[\]\\]|$)")


def model_chain(graph: Graph, guider: Node) -> list[Node]:
    """The nodes between a sampler and its checkpoint, which is the last one."""
    return graph.chain(guider, "model", _MODEL)


def model_name(graph: Graph, guider: Node) -> str:
    """The checkpoint's file without folder and ending; empty where none is found."""
    chain = model_chain(graph, guider)
    if not chain or chain[-1].kind not in CHECKPOINTS:
        return ""
    return stem(graph.text(graph.understand(chain[-1]), CHECKPOINTS[chain[-1].kind]))


def clip_skip(graph: Graph, guider: Node) -> str:
    """A1111's clip skip; empty where the last layer is used."""
    for encoder in conditioning(graph, guider, "positive", "conditioning"):
        for node in graph.chain(encoder, "clip", _CLIP):
            if node.kind == "CLIPSetLastLayer":
                return graph.text(graph.understand(node), "stop_at_clip_layer").lstrip("-")
    return ""


def stem(file: str) -> str:
    """A file's name without folder and ending, whichever system wrote it."""
    return PureWindowsPath(file).stem


def conditioning(graph: Graph, guider: Node, *names: str) -> list[Node]:
    """The nodes behind these inputs of a sampler, down to those that encode the texts."""
    return [node for name in names for node in graph.chain(guider, name, _CONDITIONING, second="negative")]


def prompt_of(graph: Graph, guider: Node, *names: str) -> tuple[str, str]:
    """The text of a prompt, and the guidance that Flux is given with it."""
    texts: list[str] = []
    guidance, joint = "", ""
    for node in conditioning(graph, guider, *names):
        if node.kind == "ConditioningZeroOut":
            graph.understand(node)
            return "", guidance
        if node.kind in _JOINED:
            other = graph.source(node, "conditioning_from") or graph.source(node, "conditioning_2")
            joint = _JOINED[graph.understand(node).kind]
            texts += [_text(graph, other)] if other else []
        if node.kind in ("FluxGuidance", "CLIPTextEncodeFlux"):
            graph.understand(node)
            guidance = guidance or graph.text(node, "guidance")
        if "clip" in node.inputs:
            texts.insert(0, _text(graph, node))
    return joint.join(filter(None, texts)) if joint else "".join(texts[:1]), guidance


def _text(graph: Graph, node: Node) -> str:
    """What an encoder encodes; of several texts for several encoders, the fullest one."""
    if not node.kind.startswith("CLIPTextEncode"):
        return ""
    texts = [graph.text(graph.understand(node), name) for name in _TEXTS]
    return _in_our_syntax(max(texts, key=len))


def _in_our_syntax(text: str) -> str:
    """Square brackets are plain letters in ComfyUI, and learned words have a prefix."""
    plain = _BRACKET.sub(r"\\\1", text.strip())
    return _EMBEDDING.sub(lambda found: stem(found[1]), plain)


def lora_tags(graph: Graph, guider: Node) -> list[str]:
    """Tags in A1111's form, the one nearest to the checkpoint first: <lora:name:text:model>."""
    tags = []
    for node in reversed(model_chain(graph, guider)):
        if node.kind not in LORAS:
            continue
        name = stem(graph.text(graph.understand(node), "lora_name"))
        model = graph.text(node, "strength_model") or "1"
        text = "0" if node.kind == "LoraLoaderModelOnly" else graph.text(node, "strength_clip") or model
        tags.append(f"<lora:{name}:{model}>" if text == model else f"<lora:{name}:{text}:{model}>")
    return tags
