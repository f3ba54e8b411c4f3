"""A request made of an infotext, our own or one by A1111 or Forge.

Every field is taken, known to say nothing about the pixels, or listed as not carried over. Two things go
without saying in A1111's texts: noise comes from an NVIDIA GPU (a CPU in ComfyUI's), and SDE samplers use
Brownian trees.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from sfumato.errors import BadInput, SfumatoError, UnknownName
from sfumato.library import ModelLibrary
from sfumato.models import ModelFamily, ModelInfo
from sfumato.registries import Registries
from sfumato.request import RANDOM_SEED, GenerationRequest
from sfumato.sampler_names import resolve_sampler
from sfumato.sampling import Option
from sfumato_engine.infotext_fields import (
    CHANGED,
    EMPHASIS,
    FACE_RESTORATION,
    NOISE_SOURCES,
    OWN_VERSION,
    PARTS,
    TILING,
    family_keys,
    options_by_key,
    stage_key,
)
from sfumato_engine.infotext_passes import (
    DENOISING,
    HIRES_RESIZE,
    MASK_WEIGHT,
    OF_A_MASK,
    OF_A_PICTURE,
    take_nested,
)
from sfumato_engine.prompts import extra_networks
from sfumato_engine.replay.model_search import WantedModel
from sfumato_engine.resolution import checked_options, family_options
from sfumato_pictures import infotext
from sfumato_pictures.infotext import Infotext

AUTOMATIC = "Automatic"
UNIFORM = "uniform"
"""What A1111's Automatic, or no schedule in a text, means for samplers that have none of their own."""

COMFYUI = "ComfyUI"
"""What the field Version begins with in texts that ComfyUI's nodes write in A1111's form."""

OWN_SCHEDULES = ("DDIM", "DDIM CFG++", "PLMS", "UniPC", "LCM")
"""A1111's samplers whose timesteps go with them."""

_PLAIN: Mapping[str, str] = {
    "Steps": "steps",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Clip skip": "clip_skip",
    "ENSD": "noise_seed_delta",
    "Variation seed": "variation_seed",
    "Variation seed strength": "variation_strength",
    TILING: "tiling",
    **{key: name for name, key in CHANGED.items()},
}
"""Fields whose value is that of a request field."""

_NEEDED: Mapping[str, str] = {
    "Seed": "seed",
    "Steps": "number of steps",
    "Sampler": "sampler",
    "CFG scale": "CFG scale",
    "Size": "size",
}
"""What every text should tell; where one does not, the model's own is taken and that is told."""

_SIZES: Mapping[str, tuple[str, str]] = {
    "Size": ("width", "height"),
    "Seed resize from": ("seed_resize_width", "seed_resize_height"),
}
AUTOENCODER = "autoencoder"
_ETA_OF_ONE = ("DPM fast", "DPM adaptive")
"""Samplers that A1111 runs at eta 1 where a text does not tell, and we as published, at 0."""
_OTHER_SPELLINGS = {"Eta DDIM": "Eta"}
_SAYS_NOTHING = re.compile(
    r"Version|User|Model|Model hash|Lora hashes|TI hashes|TI|Init image hash|Hires Module \d+"
)
"""Fields that change no pixel, or whose files are told by the prompt or looked for elsewhere."""
_FIRST_SIZE = "First pass size"
_OWN_PARTS = re.compile(r"VAE|VAE hash|Module \d+")
"""Fields that only tell what was at hand; for our own texts, the parts that were found beside a model too."""

_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
_NAMED_WITH_HASH = re.compile(r"(.+) \[([0-9a-fA-F]{8,64})\]")
_SDE = re.compile(r"(?<![^\W_])SDE(?![^\W_])", re.IGNORECASE)
_SEEDS = ("seed", "variation_seed")
_UNSET = ("0", "0.0")
"""A1111's schedule options at 0 leave the value to the model."""


@dataclass
class Import:
    """An infotext on its way to a request.

    Attributes:
        fields: Not taken yet.
        before: Those that were not when the nested parts of the request were looked for.
        values: Of the request, so far.
        left: What was not carried over, in words.
    """

    text: Infotext
    fields: dict[str, str]
    before: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    @property
    def version(self) -> str:
        """The program, mostly with its version."""
        return self.text.fields.get("Version", "")

    @property
    def is_own(self) -> bool:
        return self.version.startswith(OWN_VERSION)

    def put(self, name: str, value: Any, said: str) -> None:
        """Set a request field, or leave `said` when the field cannot have the value."""
        try:
            checked = getattr(GenerationRequest.model_validate({name: value}), name)
        except ValidationError:
            checked = None
        if checked is None or (name in _SEEDS and checked == RANDOM_SEED):
            self.left.append(said)
        else:
            self.values[name] = checked


def wanted_model(text: Infotext) -> WantedModel:
    """What the text says of its model."""
    sha256 = text.fields.get("Model hash", "").strip().lower()
    is_hash = re.fullmatch("[0-9a-f]{8,64}", sha256)
    return WantedModel((text.fields.get("Model", "").strip(),), sha256 if is_hash else "")


def other_wanted_models(text: Infotext) -> dict[str, WantedModel]:
    """What it says of the models of further passes, by request field."""
    keys = {"hires.model": "Hires checkpoint", "refiner.model": "Refiner"}
    named = {field: _NAMED_WITH_HASH.fullmatch(text.fields.get(key, "")) for field, key in keys.items()}
    return {field: WantedModel((found[1],), found[2].lower()) for field, found in named.items() if found}


def import_request(
    parameters: str | Infotext,
    info: ModelInfo | None,
    registries: Registries,
    *,
    pictures: Mapping[str, Any] = MappingProxyType({}),
    library: ModelLibrary | None = None,
) -> tuple[GenerationRequest, list[str]]:
    """The request that an infotext describes, and what of it could not be carried over.

    Args:
        parameters: The text, or one that was taken apart already.
        info: The model it will be drawn with, whose family may have options for some fields.
        pictures: What no text holds, as far as it is given: the start picture and the mask, by the request
            fields "img2img.image" and "inpaint.mask".
        library: Where other VAEs are looked for.
    """
    work = _taken(parameters, info, registries, library)
    _complete(work, pictures)
    _list_the_rest(work, registries)
    return GenerationRequest.model_validate(work.values), list(dict.fromkeys(work.left))


def import_values(
    parameters: str | Infotext,
    info: ModelInfo | None,
    registries: Registries,
    library: ModelLibrary | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """As `import_request`, but the values of a form: a start picture or mask may still have to be chosen."""
    work = _taken(parameters, info, registries, library)
    _list_the_rest(work, registries)
    return work.values, list(dict.fromkeys(work.left))


def _taken(
    parameters: str | Infotext, info: ModelInfo | None, registries: Registries, library: ModelLibrary | None
) -> Import:
    text = infotext.read(parameters) if isinstance(parameters, str) else parameters
    fields = {_OTHER_SPELLINGS.get(key, key): value for key, value in text.fields.items()}
    work = Import(text, {key: value for key, value in fields.items() if not _SAYS_NOTHING.fullmatch(key)})
    work.put("prompt", text.prompt, "the prompt")
    work.put("negative_prompt", text.negative_prompt, "the negative prompt")
    _take_old_sizes(work)
    _take_plain(work)
    _take_noise(work)
    _take_sampler(work, info, registries)
    _take_sampler_options(work, registries)
    _take_model_options(work, info, registries)
    _take_files(work, registries, library)
    _take_stages(work, registries)
    work.before = dict(work.fields)
    work.values |= take_nested(work.fields)
    _settle_hires_schedule(work, info, registries)
    return work


def _take_old_sizes(work: Import) -> None:
    """A1111 before 2023: the first pass had a key of its own, and the size was that of the hires pass."""
    first = _SIZE.fullmatch(work.fields.get(_FIRST_SIZE, ""))
    if first and "0" not in first.groups() and HIRES_RESIZE not in work.fields and "Size" in work.fields:
        work.fields[HIRES_RESIZE] = work.fields["Size"]
        work.fields["Size"] = work.fields.pop(_FIRST_SIZE)


def _take_files(work: Import, registries: Registries, library: ModelLibrary | None) -> None:
    """Face restorers and VAEs, as far as they are here: without them the picture can still be drawn."""
    if work.fields.get(FACE_RESTORATION, "") in registries.face_restorers:
        work.values["face_restorer"] = work.fields.pop(FACE_RESTORATION)
    with contextlib.suppress(KeyError, ValueError, RecursionError, ValidationError):
        parts = GenerationRequest.model_validate({"parts": json.loads(work.fields[PARTS])}).parts
        work.values["parts"] = parts
        del work.fields[PARTS]
    vae, files = work.fields.get("VAE"), library.files("vae") if library else []
    if not work.is_own and any(vae in (path.name, path.stem) for path in files):
        work.values["parts"] = {AUTOENCODER: vae}
        work.fields = {key: value for key, value in work.fields.items() if key not in ("VAE", "VAE hash")}


def _complete(work: Import, pictures: Mapping[str, Any]) -> None:
    """Give the parts of the request their pictures; what lacks one goes back to the fields."""
    back: set[str] = set()
    if "img2img" in work.values and "img2img.image" not in pictures:
        work.left.append("the picture to start from, which the text does not hold")
        own = () if "denoising_strength" in work.values["img2img"] else (DENOISING,)
        back = set(OF_A_PICTURE).difference(own)
        for name in ("img2img", "inpaint", "outpaint"):
            work.values.pop(name, None)
    elif "inpaint" in work.values and "inpaint.mask" not in pictures:
        work.left.append("the mask, which the text does not hold")
        back = set(OF_A_MASK)
        del work.values["inpaint"]
    for name, key in (("img2img", "image"), ("inpaint", "mask")):
        if name in work.values:
            work.values[name][key] = pictures[f"{name}.{key}"]
    work.fields = {key: value for key, value in work.before.items() if key in work.fields or key in back}


def _take_plain(work: Import) -> None:
    for key, name in _PLAIN.items():
        if key in work.fields:
            value = work.fields.pop(key)
            work.put(name, value, f"{key}: {value}")
    for key, names in _SIZES.items():
        if key in work.fields:
            value = work.fields.pop(key)
            size = _SIZE.fullmatch(value)
            for name, side in zip(names, size.groups() if size else ("", ""), strict=True):
                work.put(name, side, f"{key}: {value}")
    work.values.setdefault("clip_skip", 1)


def _take_noise(work: Import) -> None:
    """Whose random numbers, and how weights act."""
    sources = {label: name for name, label in NOISE_SOURCES.items()}
    source = work.fields.pop("RNG", "CPU" if work.version.startswith(COMFYUI) else "GPU")
    work.put("noise_source", sources.get(source, "nv" if source == "GPU" else source), f"RNG: {source}")
    emphases = {label.lower(): name for name, label in EMPHASIS.items()}
    emphasis = work.fields.pop("Emphasis", "Original")
    work.put("emphasis", emphases.get(emphasis.lower(), emphasis), f"Emphasis: {emphasis}")
    samplers = work.fields.get("Sampler", ""), work.fields.get("Hires sampler", "")
    if not work.is_own and any(map(_SDE.search, samplers)):
        work.values["step_noise"] = "brownian_tree"


def _take_sampler(work: Import, info: ModelInfo | None, registries: Registries) -> None:
    """Names stay as they are written: the engine knows A1111's labels, the old joined ones too."""
    sampler = work.fields.pop("Sampler", "")
    scheduler = work.fields.pop("Schedule type", "")
    if sampler:
        work.values["sampler"] = sampler
    if scheduler and scheduler != AUTOMATIC:
        work.values["scheduler"] = scheduler
    elif UNIFORM in registries.schedulers and _is_plain(sampler, info, registries):
        work.values["scheduler"] = UNIFORM


def _settle_hires_schedule(work: Import, info: ModelInfo | None, registries: Registries) -> None:
    """A1111's Automatic in the second pass, where the first may have another one."""
    hires = work.values.get("hires", {})
    if hires.get("scheduler") == AUTOMATIC:
        del hires["scheduler"]
        sampler = hires.get("sampler") or work.values.get("sampler", "")
        if UNIFORM in registries.schedulers and _is_plain(sampler, info, registries):
            hires["scheduler"] = UNIFORM


def _is_plain(sampler: str, info: ModelInfo | None, registries: Registries) -> bool:
    """Whether a label names a sampler alone, neither it nor a flow model having a schedule of its own."""
    if sampler not in registries.samplers or (info and info.prediction == "flow"):
        return False
    return sampler not in OWN_SCHEDULES


def _take_sampler_options(work: Import, registries: Registries) -> None:
    options = options_by_key(_sampler_options(work, registries))
    taken: dict[str, Any] = {}
    for key, option in options.items():
        value = work.fields.get(key)
        if value is None or (key.startswith("Schedule ") and value in _UNSET):
            work.fields.pop(key, None)
            continue
        try:
            taken |= checked_options([option], {option.name: value})
        except BadInput:
            continue  # it stays among the fields that are not carried over
        del work.fields[key]
    if not work.is_own and work.text.fields.get("Sampler") in _ETA_OF_ONE:
        taken.setdefault("eta", 1.0)
    work.values["sampler_options"] = taken


def _sampler_options(work: Import, registries: Registries) -> list[Option]:
    """The options of the sampler and scheduler that the text names, as far as they are here."""
    names = work.values.get("sampler", ""), work.values.get("scheduler")
    try:
        sampler, scheduler = resolve_sampler(registries.samplers, registries.schedulers, *names)
    except UnknownName:
        return []
    return [*sampler.info.options, *(scheduler.info.options if scheduler else ())]


def _take_model_options(work: Import, info: ModelInfo | None, registries: Registries) -> None:
    """Fields that an option of the model's family stands for, such as Distilled CFG Scale."""
    if info is None or info.family not in registries.model_families:
        return
    family: type[ModelFamily] = registries.model_families.get(info.family).load()
    taken: dict[str, Any] = {}
    for key, name in family_keys(family.options, info.variant).items():
        if key not in work.fields:
            continue
        try:
            taken[name] = family_options(family.options, {name: work.fields[key]})[name]
        except SfumatoError:
            continue
        del work.fields[key]
    work.values["model_options"] = taken


def _take_stages(work: Import, registries: Registries) -> None:
    names = {stage_key(entry.info.label): entry.info.name for entry in registries.stages}
    taken: dict[str, dict[str, Any]] = {}
    for key in [key for key in work.fields if key in names]:
        try:
            options = json.loads(work.fields[key])
        except (ValueError, RecursionError):
            continue
        if isinstance(options, dict):
            taken[names[key]] = options
            del work.fields[key]
    work.values["stages"] = taken


def _list_the_rest(work: Import, registries: Registries) -> None:
    inpaints = "inpaint" in work.values
    for key, value in work.fields.items():
        ours = work.is_own and _OWN_PARTS.fullmatch(key)
        if not ours and (key != MASK_WEIGHT or inpaints):
            work.left.append(f"{key}: {value}")
    work.left += work.text.unread
    work.left += [
        f"the {what}, which the text does not tell"
        for key, what in _NEEDED.items()
        if not work.text.fields.get(key)
    ]
    answered = {tag for entry in registries.adapters for tag in entry.info.tags}
    for prompt in (work.text.prompt, work.text.negative_prompt):
        unanswered = (network for network in extra_networks(prompt)[1] if network.kind not in answered)
        work.left += [f"{prompt[network.start : network.end]} in the prompt" for network in unanswered]
