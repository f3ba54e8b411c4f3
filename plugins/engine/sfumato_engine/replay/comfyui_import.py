"""ComfyUI's graphs told as infotexts: what its own nodes draw, in the fields that A1111 would write.

From the node that saves the picture the graph is followed back: through samplers and what lies between them
(a second pass, a refiner), to the prompts, the LoRAs and the checkpoint. Nodes that are not understood are
told by name, as far as the picture depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PureWindowsPath
from typing import Any

from sfumato.errors import BadInput
from sfumato_engine.infotext_passes import DENOISING, HIRES_DENOISING
from sfumato_engine.prompts import parse_attention
from sfumato_engine.replay.comfyui_graph import Graph, Node
from sfumato_engine.replay.comfyui_prompts import (
    clip_skip,
    conditioning,
    lora_tags,
    model_chain,
    model_name,
    prompt_of,
    stem,
)
from sfumato_pictures.infotext import Infotext

VERSION = "ComfyUI"

OUTPUTS = ("SaveImage", "PreviewImage", "SaveImageWebsocket", "SaveAnimatedWEBP", "Image Save")
SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
EMPTY = ("EmptyLatentImage", "EmptySD3LatentImage", "EmptyHunyuanLatentVideo", "EmptyFlux2LatentImage")
NAMED_SAMPLERS: Mapping[str, str] = {
    "SamplerEulerAncestral": "euler_ancestral",
    "SamplerDPMPP_SDE": "dpmpp_sde",
    "SamplerDPMPP_2M_SDE": "dpmpp_2m_sde",
    "SamplerDPMPP_3M_SDE": "dpmpp_3m_sde",
}
LATENT_UPSCALERS: Mapping[str, str] = {
    "bilinear": "Latent",
    "nearest-exact": "Latent (nearest-exact)",
    "bicubic": "Latent (bicubic)",
}
PIXEL_UPSCALERS: Mapping[str, str] = {"lanczos": "Lanczos", "nearest-exact": "Nearest"}

_BACK_TO_SAMPLER: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    (*SAMPLERS, *EMPTY, "LoadImage", "LoadImageMask"), ()
) | {"": ("images", "image", "samples", "pixels", "latent_image", "latent")}
_FACTOR = re.compile(r"(?<![0-9])([248])x|x([248])(?![0-9])", re.IGNORECASE)


@dataclass
class Pass:
    """One sampler with what feeds it.

    Attributes:
        guider: The node that the model and the prompts are given to.
        between: The nodes from its latents back to the sampler, picture or empty latents before it.
    """

    node: Node
    guider: Node
    seed: str
    steps: str
    cfg: str
    sampler: str
    scheduler: str
    denoise: str
    between: Sequence[Node] = field(default_factory=list)

    @property
    def before(self) -> Node | None:
        return self.between[-1] if self.between else None


def read_graph(text: str) -> Infotext:
    """The picture that a graph draws, as an infotext; what is not understood stands in `unread`.

    Raises:
        BadInput: it is no graph, or no sampler of ComfyUI's own leads to its picture.
    """
    graph = Graph(text)
    last, finishing = _last_sampler(graph)
    passes = _passes(graph, last)
    first = passes[0]
    fields: dict[str, str] = {
        "Steps": first.steps,
        "Sampler": first.sampler,
        "Schedule type": first.scheduler,
        "CFG scale": first.cfg,
        "Seed": first.seed,
        **_start_fields(graph, first),
        **_model_fields(graph, first, finishing),
    }
    lost = _lost(graph, passes)
    for earlier, later in pairwise(passes):
        further = _second_fields(graph, earlier, later)
        if DENOISING in fields and DENOISING in further:
            further[HIRES_DENOISING] = further.pop(DENOISING)
        if not further or fields.keys() & further.keys():
            lost.append(f"the pass of the node {later.node.kind} {later.node.number}")
        fields = further | fields
    prompt, guidance = prompt_of(graph, first.guider, "positive", "conditioning")
    negative, _ = prompt_of(graph, first.guider, "negative")
    tags = lora_tags(graph, first.guider)
    if guidance:
        fields["Distilled CFG Scale"] = guidance
    unread = [f"the node {node.kind}" for node in _not_understood(graph, passes, finishing)] + lost
    if any(weight != 1.0 for each in (prompt, negative) for _, weight in parse_attention(each)):
        fields["Emphasis"] = "No norm"
        unread.append("weights of words, which act a little otherwise in ComfyUI")
    fields = {key: value for key, value in fields.items() if value} | {"Version": VERSION}
    return Infotext(" ".join(filter(None, (prompt, *tags))), negative, fields, tuple(dict.fromkeys(unread)))


def _last_sampler(graph: Graph) -> tuple[Node, list[Node]]:
    """The sampler whose picture is saved, and the nodes between it and the saving, the latter first."""
    found = _samplers_of_outputs(graph)
    if found:
        return found[0][-1], found[0][:-1]
    raise BadInput(
        "The picture's graph cannot be followed.",
        why=f"No node of {', '.join(SAMPLERS)} leads to a picture that is saved.",
        hint="Graphs of other nodes than ComfyUI's own are not understood.",
    )


def _samplers_of_outputs(graph: Graph) -> list[list[Node]]:
    """For each output the nodes behind it, back to a sampler; saved pictures go before those only shown."""
    found = []
    for output in sorted(graph.of_kind(*OUTPUTS), key=lambda node: node.kind == "PreviewImage"):
        name = next((name for name in ("images", "image") if name in output.inputs), "")
        behind = graph.chain(output, name, _BACK_TO_SAMPLER)
        if behind and behind[-1].kind in SAMPLERS:
            found.append(behind)
    return found


def _passes(graph: Graph, last: Node) -> list[Pass]:
    """All samplers of the picture, the first one first; at most as many as can be told of."""
    passes = [_pass(graph, last)]
    while (before := passes[0].before) and before.kind in SAMPLERS and len(passes) < 3:
        if any(before == each.node for each in passes):
            break
        passes.insert(0, _pass(graph, before))
    return passes


def _pass(graph: Graph, node: Node) -> Pass:
    graph.understand(node)
    noise, sampler, sigmas = node, node, node
    guider = node
    if node.kind == "SamplerCustomAdvanced":
        noise = graph.source(node, "noise") or node
        guider = graph.source(node, "guider") or node
    if node.kind.startswith("SamplerCustom"):
        sampler = graph.source(node, "sampler") or node
        sources = graph.chain(node, "sigmas", {"": ("sigmas",)})
        sigmas = next((source for source in sources if source.kind == "BasicScheduler"), node)
    for each, kinds in (
        (noise, ("RandomNoise",)),
        (guider, ("BasicGuider", "CFGGuider")),
        (sampler, ("KSamplerSelect", *NAMED_SAMPLERS)),
        (sigmas, ("BasicScheduler",)),
    ):
        if each.kind in kinds:
            graph.understand(each)
    return Pass(
        node,
        guider,
        seed=graph.text(noise, "noise_seed") or graph.text(noise, "seed"),
        steps=graph.text(sigmas, "steps"),
        cfg="1" if guider.kind == "BasicGuider" else graph.text(guider, "cfg"),
        sampler=NAMED_SAMPLERS.get(sampler.kind) or graph.text(sampler, "sampler_name"),
        scheduler=graph.text(sigmas, "scheduler"),
        denoise=graph.text(sigmas, "denoise") or _rest_of_steps(graph, node),
        between=graph.chain(node, "latent_image", _BACK_TO_SAMPLER),
    )


def _rest_of_steps(graph: Graph, node: Node) -> str:
    """The share of its steps that a KSamplerAdvanced runs; empty where that is all or not known."""
    start, steps = (_number(graph.value(node, name)) for name in ("start_at_step", "steps"))
    return str(round(1 - start / steps, 4)) if 0 < start < steps else ""


def _start_fields(graph: Graph, first: Pass) -> dict[str, str]:
    """What the first pass starts from: nothing, or a picture, perhaps with a mask."""
    start = first.before
    if start is None:
        return {}
    if start.kind in EMPTY:
        graph.understand(start)
        return {"Size": f"{graph.text(start, 'width')}x{graph.text(start, 'height')}"}
    if start.kind != "LoadImage":
        return {}
    graph.understand(start)
    fields = {DENOISING: first.denoise or "1", "Img2img all steps": "True"}
    for node in first.between:
        if node.kind in ("VAEEncode", "SetLatentNoiseMask"):
            graph.understand(node)
        if node.kind in ("ImageScale", "ImageScaleToTotalPixels"):
            size = graph.text(node, "width"), graph.text(node, "height")
            if all(size):
                graph.understand(node)
                fields["Size"] = "x".join(size)
        if node.kind == "SetLatentNoiseMask":
            fields["Mask blur"] = "0"
    return fields


def _model_fields(graph: Graph, first: Pass, finishing: Sequence[Node]) -> dict[str, str]:
    fields = {
        "Model": model_name(graph, first.guider),
        "Clip skip": clip_skip(graph, first.guider),
    }
    for node in model_chain(graph, first.guider):
        if node.kind == "RescaleCFG":
            graph.understand(node)
            fields["CFG rescale"] = graph.text(node, "multiplier")
    for node in finishing:
        vae = graph.source(node, "vae") if node.kind in ("VAEDecode", "VAEDecodeTiled") else None
        if vae and vae.kind == "VAELoader":
            graph.understand(vae)
            fields["VAE"] = PureWindowsPath(graph.text(vae, "vae_name")).name
    return fields


def _second_fields(graph: Graph, earlier: Pass, later: Pass) -> dict[str, str]:
    """A second pass over an enlarged picture, or another model that takes over."""
    enlarged = _enlarged(graph, later.between[:-1])
    if enlarged is None:
        model = model_name(graph, later.guider)
        if model in ("", model_name(graph, earlier.guider)):
            return {}
        return {"Refiner": model, "Refiner switch at": _switch_at(graph, earlier, later)}
    prompts = {}
    for key, names in (
        ("Hires prompt", ("positive", "conditioning")),
        ("Hires negative prompt", ("negative",)),
    ):
        texts = [prompt_of(graph, each.guider, *names)[0] for each in (earlier, later)]
        if texts[0] != texts[1]:
            prompts[key] = texts[1]
    named = {
        "Hires checkpoint": (model_name(graph, earlier.guider), model_name(graph, later.guider)),
        "Hires sampler": (earlier.sampler, later.sampler),
        "Hires schedule type": (earlier.scheduler, later.scheduler),
        "Hires CFG Scale": (earlier.cfg, later.cfg),
    }
    changed = {key: there for key, (here, there) in named.items() if here != there}
    return {
        DENOISING: later.denoise,
        "Hires steps": later.steps,
        **changed,
        **prompts,
        **enlarged,
    }


def _switch_at(graph: Graph, earlier: Pass, later: Pass) -> str:
    try:
        step = int(graph.value(earlier.node, "end_at_step") or graph.value(later.node, "start_at_step"))
        return str(round(min(1.0, step / int(earlier.steps)), 4))
    except (TypeError, ValueError, ZeroDivisionError):
        return ""


def _enlarged(graph: Graph, between: Sequence[Node]) -> dict[str, str] | None:
    """Size and upscaler of a second pass; None where nothing is enlarged. Nodes come latest first."""
    fields: dict[str, str] = {}
    factor = 1.0
    for node in between:
        known = True
        method = graph.text(node, "upscale_method")
        match node.kind:
            case "LatentUpscale" | "ImageScale":
                fields["Hires resize"] = f"{graph.text(node, 'width')}x{graph.text(node, 'height')}"
            case "LatentUpscaleBy" | "ImageScaleBy":
                factor *= _number(graph.value(node, "scale_by")) or 1.0
            case "ImageUpscaleWithModel":
                loader = graph.source(node, "upscale_model")
                name = stem(graph.text(graph.understand(loader), "model_name")) if loader else ""
                found = _FACTOR.search(name)
                factor *= float(next(filter(None, found.groups()))) if found else 4.0
                fields["Hires upscaler"] = name
            case "VAEDecode" | "VAEEncode" | "VAEDecodeTiled" | "VAEEncodeTiled":
                pass
            case _:
                known = False
        if known:
            graph.understand(node)
            labels = LATENT_UPSCALERS if node.kind.startswith("Latent") else PIXEL_UPSCALERS
            if method:
                fields.setdefault("Hires upscaler", labels.get(method, next(iter(labels.values()))))
    if not fields and factor == 1.0:
        return None
    return fields if "Hires resize" in fields else {**fields, "Hires upscale": str(factor)}


def _lost(graph: Graph, passes: Sequence[Pass]) -> list[str]:
    """What no field can tell, in words."""
    first, start = passes[0], passes[0].before
    found = []
    if start is not None and start.kind in EMPTY:
        if first.denoise and _number(first.denoise) < 1:
            found.append(f"the denoise of {first.denoise} where there is nothing to start from")
        if _number(graph.value(start, "batch_size")) > 1:
            found.append("which picture of its batch it is: the first one is drawn")
    if start is not None and start.kind in SAMPLERS:
        found.append(f"the pass of the node {start.kind} {start.number}")
    for later in passes[1:]:
        adds_noise = graph.text(later.node, "add_noise").lower() not in ("disable", "false")
        if adds_noise and later.seed not in ("", first.seed):
            found.append(f"the seed {later.seed} of the second pass")
    ends = {behind[-1].number for behind in _samplers_of_outputs(graph)}
    if len(ends) > 1:
        found.append(
            f"which of its {len(ends)} pictures it is: that of the node {passes[-1].node.number} is drawn"
        )
    return found


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _not_understood(graph: Graph, passes: Sequence[Pass], finishing: Sequence[Node]) -> list[Node]:
    """Nodes on the way of the picture that nothing was taken from."""
    silent = ("VAEDecode", "VAEDecodeTiled", "VAEEncode", "VAELoader", "Reroute", *OUTPUTS)
    nodes = list(finishing)
    for each in passes:
        nodes += [each.guider, *each.between, *model_chain(graph, each.guider)]
        nodes += [node for name in ("noise", "sampler", "sigmas") if (node := graph.source(each.node, name))]
        nodes += conditioning(graph, each.guider, "positive", "conditioning", "negative")
    nodes += graph.opaque
    return [node for node in nodes if node.number not in graph.understood and node.kind not in silent]
