"""A1111's scripts as far as requests of ours say the same: grids, and those that are always on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sfumato.request import GenerationRequest, GridRequest
from sfumato.request.schema import checked
from sfumato_api_a1111.errors import Refusal
from sfumato_api_a1111.generation_fields import GenerationFields


@dataclass(frozen=True)
class Argument:
    """One argument of a script, as ``/script-info`` tells it.

    Attributes:
        field: The field of the request that it stands for, of scripts that are always on.
    """

    label: str
    value: Any = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | None = None
    field: str = ""

    def told(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "value": self.value,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "step": self.step,
            "choices": list(self.choices) if self.choices is not None else None,
        }


@dataclass(frozen=True)
class Script:
    """A script; `grid` makes a grid of its arguments where it can be selected."""

    name: str
    arguments: tuple[Argument, ...]
    grid: Callable[[dict[str, Any], bool], dict[str, Any]] | None = None
    tabs: tuple[str, ...] = ("txt2img", "img2img")


@dataclass(frozen=True)
class SoftInpaintingArguments:
    """What the script "Soft Inpainting" was told."""

    values: Mapping[str, Any]

    def request_values(self) -> dict[str, Any]:
        return {key: value for key, value in self.values.items() if key != "enabled"}


AXES = (
    "Nothing", "Seed", "Var. seed", "Var. strength", "Steps", "Hires steps", "CFG Scale", "Prompt S/R",
    "Prompt order", "Sampler", "Hires sampler", "Checkpoint name", "Negative Guidance minimum sigma",
    "Sigma Churn", "Sigma min", "Sigma max", "Sigma noise", "Schedule type", "Schedule min sigma",
    "Schedule max sigma", "Schedule rho", "Eta", "Clip skip", "Denoising", "Initial noise multiplier",
    "Extra noise", "Hires upscaler", "VAE", "Styles", "UniPC Order", "Face restore", "Token merging ratio",
    "Token merging ratio high-res", "Always discard next-to-last sigma", "SGM noise multiplier",
    "Refiner checkpoint", "Refiner switch at", "RNG source", "FP8 mode", "Size",
)  # fmt: skip
"""The axes of A1111's X/Y/Z plot for txt2img, in its order: clients name one by its place."""
_ONLY_TXT2IMG = ("Hires steps", "Hires sampler", "Hires upscaler")
_IMG2IMG_AXES = tuple(
    axis
    for name in AXES
    if name not in _ONLY_TXT2IMG
    for axis in {
        "CFG Scale": ("CFG Scale", "Image CFG Scale"),
        "VAE": ("Cond. Image Mask Weight", "VAE"),
    }.get(name, (name,))
)


def axes(is_img2img: bool) -> tuple[str, ...]:
    """The axes by their places."""
    return _IMG2IMG_AXES if is_img2img else AXES


def _xyz(arguments: dict[str, Any], is_img2img: bool) -> dict[str, Any]:
    grid: dict[str, Any] = {
        "legend": _true(arguments["Draw legend"]),
        "margin": _whole(arguments["Grid margins (px)"]),
        "seeds": "random" if _true(arguments["Keep -1 for seeds"]) else "same",
    }
    for letter in "XYZ":
        field = _axis_name(arguments[f"{letter} type"], is_img2img)
        if field == "Nothing":
            continue
        chosen, text = arguments[f"{letter} values list"], str(arguments[f"{letter} values"] or "")
        values = [str(value) for value in chosen] if isinstance(chosen, list) and chosen else _listed(text)
        vary = _true(arguments[f"Vary seeds for {letter}"])
        grid[letter.lower()] = {"field": field, "values": values, "vary_seed": vary}
    if not any(letter in grid for letter in "xyz"):
        grid["x"] = {"field": "Nothing", "values": [""]}
    return grid


def _axis_name(given: Any, is_img2img: bool) -> str:
    names = axes(is_img2img)
    if given is None or given == "":
        return "Nothing"
    if isinstance(given, str) and not given.strip().isdigit():
        return given.strip()
    place = _whole(given)
    if not 0 <= place < len(names):
        raise Refusal(422, f"There is no axis number {place}.")
    return names[place]


def _listed(text: str) -> list[str]:
    """Values between commas; quotes hold what has commas itself."""
    import csv

    rows = list(csv.reader([text], skipinitialspace=True))
    return [value.strip() for value in rows[0]] if rows and text.strip() else []


def _matrix(arguments: dict[str, Any], is_img2img: bool) -> dict[str, Any]:
    negative = arguments["Select prompt"] == "negative"
    return {
        "matrix": {
            "of": "negative_prompt" if negative else "prompt",
            "at_start": _true(arguments["Put variable parts at start of prompt"]),
            "separator": "space" if arguments["Select joining char"] == "space" else "comma",
        },
        "seeds": "next" if _true(arguments["Use different seed for each picture"]) else "same",
        "margin": _whole(arguments["Grid margins (px)"]),
    }


def _prompts(arguments: dict[str, Any], is_img2img: bool) -> dict[str, Any]:
    lines = [line.strip() for line in str(arguments["List of prompt inputs"] or "").splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise Refusal(422, "Script 'prompts from file or textbox' needs prompts, one a line")
    counts, same = arguments["Iterate seed every line"], arguments["Use same random seed for all lines"]
    seeds = "next" if _true(counts) else "same" if _true(same) else "random"
    position = "end" if arguments["Insert prompts at the"] == "end" else "start"
    return {"prompts": {"lines": lines, "position": position}, "seeds": seeds, "sheets": False}


def _true(value: Any) -> bool:
    return value.strip().lower() in ("true", "1") if isinstance(value, str) else bool(value)


def _whole(value: Any) -> int:
    try:
        return int(float(value or 0))
    except (TypeError, ValueError, OverflowError) as error:
        raise Refusal(422, f"{value!r:.40} is no whole number") from error


_MARGIN = Argument("Grid margins (px)", 0, 0, 500, 2)
_XYZ_ARGUMENTS = (
    *(
        argument
        for letter in "XYZ"
        for argument in (
            Argument(f"{letter} type", "Nothing", choices=AXES),
            Argument(f"{letter} values", ""),
            Argument(f"{letter} values list", []),
        )
    ),
    Argument("Draw legend", True),
    Argument("Include Sub Images", False),
    Argument("Include Sub Grids", False),
    Argument("Keep -1 for seeds", False),
    *(Argument(f"Vary seeds for {letter}", False) for letter in "XYZ"),
    _MARGIN,
    Argument("Use text inputs instead of dropdowns", False),
)
SCRIPTS = (
    Script("x/y/z plot", _XYZ_ARGUMENTS, _xyz),
    Script(
        "prompt matrix",
        (
            Argument("Put variable parts at start of prompt", False),
            Argument("Use different seed for each picture", False),
            Argument("Select prompt", "positive", choices=("positive", "negative")),
            Argument("Select joining char", "comma", choices=("comma", "space")),
            _MARGIN,
        ),
        _matrix,
    ),
    Script(
        "prompts from file or textbox",
        (
            Argument("Iterate seed every line", False),
            Argument("Use same random seed for all lines", False),
            Argument("Insert prompts at the", "start", choices=("start", "end")),
            Argument("List of prompt inputs", ""),
        ),
        _prompts,
    ),
    Script(
        "refiner",
        (
            Argument("Refiner", False, field="enabled"),
            Argument("Checkpoint", "", field="refiner_checkpoint"),
            Argument("Switch at", 0.8, 0.01, 1.0, 0.01, field="refiner_switch_at"),
        ),
    ),
    Script(
        "seed",
        (
            Argument("Seed", -1.0, field="seed"),
            Argument("Extra", False, field="enabled"),
            Argument("Variation seed", -1.0, field="subseed"),
            Argument("Variation strength", 0.0, 0, 1, 0.01, field="subseed_strength"),
            Argument("Resize seed from width", 0, 0, 2048, 8, field="seed_resize_from_w"),
            Argument("Resize seed from height", 0, 0, 2048, 8, field="seed_resize_from_h"),
        ),
    ),
    Script(
        "sampler",
        (
            Argument("Sampling steps", 20, 1, 150, 1, field="steps"),
            Argument("Sampling method", "DPM++ 2M", field="sampler_name"),
            Argument("Schedule type", "Automatic", field="scheduler"),
        ),
    ),
    Script(
        "soft inpainting",
        (
            Argument("Soft inpainting", False, field="enabled"),
            Argument("Schedule bias", 1, 0, 8, 0.1, field="schedule_bias"),
            Argument("Preservation strength", 0.5, 0, 8, 0.05, field="preservation_strength"),
            Argument("Transition contrast boost", 4, 1, 32, 0.5, field="transition_contrast_boost"),
            Argument("Mask influence", 0, 0, 1, 0.05, field="mask_influence"),
            Argument("Difference threshold", 0.5, 0, 8, 0.25, field="difference_threshold"),
            Argument("Difference contrast", 2, 0, 8, 0.25, field="difference_contrast"),
        ),
        tabs=("img2img",),
    ),
)
"""All that answer to a name; those that can be selected come first."""
_BY_NAME = {script.name: script for script in SCRIPTS}


def script_names() -> dict[str, list[str]]:
    """As ``/scripts`` tells them."""
    return {tab: [script.name for script in SCRIPTS if tab in script.tabs] for tab in ("txt2img", "img2img")}


def script_info() -> list[dict[str, Any]]:
    """As ``/script-info`` tells them."""
    return [
        {
            "name": script.name,
            "is_alwayson": script.grid is None,
            "is_img2img": tab == "img2img",
            "args": [argument.told() for argument in script.arguments],
        }
        for tab in ("txt2img", "img2img")
        for script in SCRIPTS
        if tab in script.tabs
    ]


def _script(name: str, is_img2img: bool) -> Script:
    script = _BY_NAME.get(name.strip().lower())
    tab = "img2img" if is_img2img else "txt2img"
    if script is None or tab not in script.tabs:
        raise Refusal(422, f"Script '{name}' not found")
    return script


def grid_of(base: GenerationRequest, name: str, arguments: list[Any], *, is_img2img: bool) -> GridRequest:
    """The grid that a selected script makes.

    Raises:
        Refusal: there is no such script, or an argument is wrong.
        BadInput: the grid cannot be.
    """
    script = _script(name, is_img2img)
    if script.grid is None:
        raise Refusal(422, f"Script '{name}' is always on: it belongs into alwayson_scripts")
    values = _by_label(script, arguments)
    fields = {key: getattr(base, key) for key in base.model_fields_set}
    return checked(
        GridRequest,
        {"base": checked(GenerationRequest, fields), **script.grid(values, is_img2img), "resume": False},
    )


def _by_label(script: Script, arguments: list[Any]) -> dict[str, Any]:
    """Arguments replace the script's defaults from the first on; surplus ones are dropped."""
    given = dict(zip((argument.label for argument in script.arguments), arguments, strict=False))
    return {**{argument.label: argument.value for argument in script.arguments}, **given}


def always_on(
    fields: GenerationFields, *, is_img2img: bool
) -> tuple[dict[str, Any], SoftInpaintingArguments | None]:
    """What scripts that are always on change in the request, by field; and soft inpainting.

    Raises:
        Refusal: there is no such script, or one that can only be selected.
    """
    changes: dict[str, Any] = {}
    soft: SoftInpaintingArguments | None = None
    for name, entry in (fields.alwayson_scripts or {}).items():
        script = _script(name, is_img2img)
        if script.grid is not None:
            raise Refusal(422, "Cannot have a selectable script in the always on scripts params")
        arguments = entry.get("args") if isinstance(entry, dict) else None
        if not isinstance(arguments, list):
            continue
        values = dict(zip((argument.field for argument in script.arguments), arguments, strict=False))
        if script.name == "soft inpainting":
            soft = SoftInpaintingArguments(values) if _true(values.get("enabled")) else None
        else:
            changes |= _changes(script, values)
    return changes, soft


def _changes(script: Script, values: dict[str, Any]) -> dict[str, Any]:
    if "enabled" not in {argument.field for argument in script.arguments}:
        return values
    if _true(values.pop("enabled", False)):
        return values
    return {"seed": values["seed"]} if "seed" in values else {}


def shown_of_grid(name: str, arguments: list[Any]) -> tuple[bool, bool]:
    """Whether the answer has the single pictures of a grid, and the sheets of single values of its Z axis."""
    script = _script(name, is_img2img=True)
    if script.name != "x/y/z plot":
        return True, False
    values = _by_label(script, arguments)
    return _true(values["Include Sub Images"]), _true(values["Include Sub Grids"])
