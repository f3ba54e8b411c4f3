"""The axes of a grid: what each changes in a request, by which values, under which labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from sfumato.errors import UnknownName
from sfumato.request import RANDOM_SEED, Axis
from sfumato_grids.fields import NOTHING, RequestField, find_field, put
from sfumato_grids.labels import DENOISING_LABELS, FORGE_LABELS, label_of
from sfumato_grids.prompt_edits import orders_of, reordered, with_lora, with_lora_weight
from sfumato_grids.seeds import SeedSource
from sfumato_grids.values import expanded, joined_values

Values = dict[str, Any]
Change = Callable[[Values], None]
"""Alters the values of a request in place; raises `ValueError` where it cannot."""

FILES = ("model", "hires.model", "refiner.model", "parts")
"""Fields whose values are files: labels leave out their folders."""
SEEDS = ("seed", "variation_seed")


@dataclass(frozen=True)
class Step:
    """One value of an axis."""

    label: str
    change: Change


@dataclass(frozen=True)
class Side:
    """An axis read and checked.

    Attributes:
        name: The field's path, or the name of a special axis.
        label: As A1111 calls it, where it has it.
        text: The values as they were given, in a list.
        fixed: The seeds that were drawn for open ones, in a list; None where there were none.
        turn: Changes with a higher one are made later.
    """

    name: str
    label: str
    text: str
    steps: tuple[Step, ...]
    fixed: str | None = None
    turn: int = 0
    vary_seed: bool = False


def read_axis(axis: Axis | None, base: Mapping[str, Any], seeds: SeedSource) -> tuple[Side, list[str]]:
    """An axis with the values that can be, and what is wrong with the others, in clauses.

    Args:
        base: The values of the base request.
        seeds: Where seeds that are left open come from.
    """
    if axis is None:
        return NOTHING_CHANGES, []
    name, _, detail = axis.field.strip().partition(".")
    special = _SPECIAL.get(_plain(name)) or _SPECIAL.get(_by_label(axis.field))
    try:
        if special is None:
            return _field_side(axis, _field(axis.field, base), seeds)
        side = special(axis, detail)
    except _Problems as found:
        return NOTHING_CHANGES, found.problems
    except UnknownName as error:
        return NOTHING_CHANGES, [str(error).rstrip(".")]
    except ValueError as error:
        return NOTHING_CHANGES, [f"{axis.field}: {error}"]
    if not side.steps:
        return NOTHING_CHANGES, [f"{axis.field}: there are no values"]
    return side, []


class _Problems(ValueError):
    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _field(name: str, base: Mapping[str, Any]) -> RequestField:
    if name.strip().lower() in [label.lower() for label in DENOISING_LABELS]:
        of_hires = base.get("hires") is not None and base.get("img2img") is None
        name = f"{'hires' if of_hires else 'img2img'}.denoising_strength"
    return find_field(name, tuple(_SPECIAL))


def _field_side(axis: Axis, field: RequestField, seeds: SeedSource) -> tuple[Side, list[str]]:
    texts = expanded(axis.values, whole=field.is_whole) if field.is_number else list(axis.values)
    label, is_seed = label_of(field.path) or field.label, field.path in SEEDS
    steps, shown = [], []
    problems = [] if texts else [f"{axis.field}: there are no values"]
    for number, text in enumerate(texts):
        try:
            value = field.value(text)
        except ValueError as error:
            problems.append(f"{axis.field} '{text}': {error}")
            continue
        if is_seed and value == RANDOM_SEED:
            value = seeds.draw(f"{field.path} {number}")
        shown.append(str(value) if is_seed else text)
        steps.append(Step(_step_label(field.path, label, shown[-1]), _setting(field.path, value)))
    if not steps:
        return NOTHING_CHANGES, problems
    side = _side(axis, field.path, label, steps)
    return replace(side, fixed=", ".join(shown) if is_seed and shown != texts else None), problems


def _step_label(path: str, label: str, text: str) -> str:
    """'Steps: 20'; the value alone where it speaks for itself, as A1111 has it."""
    if path in FILES or path.partition(".")[0] in FILES:
        return PurePath(text.replace("\\", "/")).name or "None"
    return text if path in ("sampler", "scheduler", "prompt", "negative_prompt") else f"{label}: {text}"


def _setting(path: str, value: Any) -> Change:
    return lambda values: put(values, path, value)


def _nothing(axis: Axis, detail: str) -> Side:
    return Side("nothing", "Nothing", "", (Step("", lambda values: None),), vary_seed=axis.vary_seed)


def _size(axis: Axis, detail: str) -> Side:
    sizes, problems = [], []
    for text in filter(None, axis.values):
        width, _, height = text.lower().partition("x")
        try:
            sizes.append((find_field("width").value(width), find_field("height").value(height)))
        except ValueError as error:
            problems.append(f"Size '{text}': {error}; write 512x768")
    if problems:
        raise _Problems(problems)
    steps = (Step(f"Size: {width}x{height}", _resizing(width, height)) for width, height in sizes)
    return _side(axis, "size", "Size", steps)


def _resizing(width: int, height: int) -> Change:
    return lambda values: values.update(width=width, height=height)


def _prompt_replace(axis: Axis, detail: str) -> Side:
    if not axis.values or not axis.values[0]:
        raise ValueError("the first value is what is searched for in the prompt")
    steps = (Step(text, _replacing(axis.values[0], text)) for text in axis.values)
    return _side(axis, "prompt_replace", "Prompt S/R", steps)


def _replacing(wanted: str, text: str) -> Change:
    def change(values: Values) -> None:
        hires = values.get("hires") or {}
        prompts = [(where, key) for where in (values, hires) for key in ("prompt", "negative_prompt")]
        if not any(wanted in (where.get(key) or "") for where, key in prompts):
            raise ValueError(f"'{wanted}' is neither in the prompt nor in the negative prompt")
        for where, key in prompts:
            if where.get(key):
                where[key] = where[key].replace(wanted, text)

    return change


def _prompt_order(axis: Axis, detail: str) -> Side:
    orders = orders_of([text for text in axis.values if text])
    steps = (Step(", ".join(order), _ordering(order)) for order in orders if order)
    return _side(axis, "prompt_order", "Prompt order", steps)


def _ordering(words: Sequence[str]) -> Change:
    return lambda values: values.update(prompt=reordered(values.get("prompt", ""), words))


def _lora(axis: Axis, detail: str) -> Side:
    steps = (Step(f"LoRA: {_named(text)}", _naming(text, detail)) for text in axis.values)
    return _side(axis, "lora", "LoRA", steps, turn=1)


def _named(text: str) -> str:
    return "None" if text.strip().lower() in NOTHING else text


def _naming(text: str, detail: str) -> Change:
    return lambda values: values.update(prompt=with_lora(values.get("prompt", ""), _named(text), detail))


def _lora_weight(axis: Axis, detail: str) -> Side:
    texts = expanded(axis.values, whole=False)
    wrong = [text for text in texts if not _is_number(text)]
    if wrong:
        raise _Problems([f"{axis.field} '{text}': it is no number" for text in wrong])
    label = f"LoRA weight of {detail}" if detail else "LoRA weight"
    steps = (Step(f"{label}: {text}", _weighing(text, detail)) for text in texts)
    return _side(axis, "lora_weight", label, steps, turn=2)


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e6
    except ValueError:
        return False


def _weighing(weight: str, detail: str) -> Change:
    return lambda values: values.update(prompt=with_lora_weight(values.get("prompt", ""), weight, detail))


def _side(axis: Axis, name: str, label: str, steps: Any, turn: int = 0) -> Side:
    text = joined_values(axis.values)
    return Side(name, label, text, tuple(steps), turn=turn, vary_seed=axis.vary_seed)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _by_label(label: str) -> str:
    wanted = label.strip().lower()
    return next((path for known, path in FORGE_LABELS.items() if known.lower() == wanted), "")


_SPECIAL: Mapping[str, Callable[[Axis, str], Side]] = {
    "nothing": _nothing,
    "size": _size,
    "prompt_replace": _prompt_replace,
    "prompt_order": _prompt_order,
    "lora": _lora,
    "lora_weight": _lora_weight,
}

NOTHING_CHANGES = _nothing(Axis(field="nothing"), "")
