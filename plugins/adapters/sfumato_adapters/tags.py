"""What a LoRA's tag in a prompt asks for: ``<lora:name:te:unet:rank>`` and its options.

The forms are those of A1111 and of its extensions LoRA Block Weight (lbw, start, stop, step) and loractl
(strengths over the steps, hr).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sfumato.adapters import AdapterUse
from sfumato.errors import BadInput, nearest_names
from sfumato_adapters.block_weights import BlockWeights, looks_like_block_weights, parse_block_weights
from sfumato_adapters.strength import Strength, Window, constant, parse_number, parse_strength

OPTIONS = ("te", "unet", "dyn", "lbw", "w", "start", "stop", "step", "hr", "hrte", "hrunet")
EXAMPLE = "<lora:name:0.8>, <lora:name:te=1:unet=0.5>, <lora:name:1:lbw=OUTALL:stop=0.5>"


@dataclass(frozen=True)
class LoraTag:
    """What one tag asks for.

    Attributes:
        text_strength: On the text encoders, which read the prompt before the first step.
        strength: On the network that draws.
        rank: How many of its ranks are taken; None for all.
        blocks: A factor for each block; None for 1 everywhere.
    """

    name: str
    text_strength: float
    strength: Strength
    window: Window = field(default_factory=Window)
    rank: int | None = None
    blocks: BlockWeights | None = None

    def at(self, step: int, steps: int) -> float:
        """The strength on the network that draws."""
        return self.strength.at(step, steps) if self.window.holds(step, steps) else 0.0

    @property
    def changes_over_steps(self) -> bool:
        return not (self.strength.is_constant and self.window.is_everything)


def read_tag(use: AdapterUse) -> LoraTag:
    """The tag's meaning.

    Raises:
        BadInput: it cannot be read; the tag is named.
    """
    try:
        return _read(use)
    except ValueError as error:
        text = use.text or f"<{use.tag}:{use.name}>"
        raise BadInput(
            f"The tag '{text}' cannot be read.", why=f"{error}.", hint=f"It may look like: {EXAMPLE}"
        ) from None


def _read(use: AdapterUse) -> LoraTag:
    given = _by_name(use)
    text, drawing = _strengths(given, hires=use.hires)
    return LoraTag(
        name=use.name,
        text_strength=text.at(0, 1),
        strength=drawing,
        window=_window(given),
        rank=_rank(given["dyn"]) if "dyn" in given else None,
        blocks=parse_block_weights(given["lbw"]) if "lbw" in given else None,
    )


def _by_name(use: AdapterUse) -> dict[str, str]:
    """All arguments by their names; what stands at a place gives way to what is named."""
    if not use.name.strip():
        raise ValueError("It names no file")
    for name in use.options:
        if name not in OPTIONS:
            near = nearest_names(name, OPTIONS)
            offer = f"; the nearest is '{near[0]}'" if near else f"; there are {', '.join(OPTIONS)}"
            raise ValueError(f"There is no option '{name}'{offer}")
    places = ["te", "unet", "dyn"]
    given: dict[str, str] = {}
    for argument in use.arguments:
        if given and "lbw" not in given and looks_like_block_weights(argument):
            given["lbw"] = argument  # LoRA Block Weight takes them in place of the second strength
        elif places:
            given[places.pop(0)] = argument
        else:
            raise ValueError(f"'{argument}' is one argument too many")
    named = dict(use.options)
    if "w" in named:
        named.setdefault("lbw", named.pop("w"))
    return given | named


def _strengths(given: Mapping[str, str], *, hires: bool) -> tuple[Strength, Strength]:
    """On the text encoders and on the network that draws."""
    one = constant(1.0)
    text = parse_strength(given["te"]) if "te" in given else None
    drawing = parse_strength(given["unet"]) if "unet" in given else text or one
    again = {name: parse_strength(given[name]) for name in ("hr", "hrte", "hrunet") if name in given}
    if hires:
        text = again.get("hrte", again.get("hr", text))
        drawing = again.get("hrunet", again.get("hr", drawing))
    return text or one, drawing


def _window(given: Mapping[str, str]) -> Window:
    start, stop = given.get("start", "0"), given.get("stop", "")
    if "step" in given:
        start, dash, stop = given["step"].partition("-")
        if not dash:
            raise ValueError(f"step={given['step']} has no end: it may look like step=5-10")
    first = parse_number(start or "0", 0.0, math.inf)
    last = parse_number(stop, 0.0, math.inf) if stop else math.inf
    return Window(first, last)


def _rank(text: str) -> int:
    value = parse_number(text, 1, 100_000)
    if value != int(value):
        raise ValueError(f"{text} is no whole number of ranks")
    return int(value)
