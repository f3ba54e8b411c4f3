"""How strongly an adapter acts at each step."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass

LARGEST = 1000.0


@dataclass(frozen=True)
class Strength:
    """A strength, constant or linear between points.

    Attributes:
        points: (place, strength) in rising order of places; before the first and after the last they hold.
        in_steps: Places are numbers of steps from 0; else shares of the way, 0 the first step and 1 the last.
    """

    points: tuple[tuple[float, float], ...]
    in_steps: bool = False

    @property
    def is_constant(self) -> bool:
        return len({value for _, value in self.points}) == 1

    def at(self, step: int, steps: int) -> float:
        """The strength at step number `step`, from 0, of `steps`."""
        place = float(step) if self.in_steps else step / max(steps - 1, 1)
        places = [point for point, _ in self.points]
        after = bisect_right(places, place)
        if after in (0, len(places)):
            return self.points[max(after - 1, 0)][1]
        (left, low), (right, high) = self.points[after - 1 : after + 1]
        return low + (high - low) * (place - left) / (right - left)


@dataclass(frozen=True)
class Window:
    """The steps in which an adapter acts: after `start` of them, and until `stop` are done.

    Values between 0 and 1 are shares of the steps, of at least one step.
    """

    start: float = 0.0
    stop: float = math.inf

    @property
    def is_everything(self) -> bool:
        return self.start <= 0 and self.stop == math.inf

    def holds(self, step: int, steps: int) -> bool:
        return _count(self.start, steps) <= step < _count(self.stop, steps)


def _count(place: float, steps: int) -> float:
    return max(1, round(place * steps)) if 0 < place < 1 else place


def constant(value: float) -> Strength:
    return Strength(((0.0, value),))


def parse_strength(text: str) -> Strength:
    """A number, or places with their strengths: ``0@0,1@0.5`` (sd-webui-loractl; ``;`` separates as well).

    Places up to 1 are shares of the way, unless a later one is above 1: then all are numbers of steps. A
    strength without a place stands at the end.

    Raises:
        ValueError: it cannot be read; the message says what is wrong.
    """
    pairs = [item.split("@") for item in re.split("[,;]", text)]
    if len(pairs) == 1 and len(pairs[0]) == 1:
        return constant(parse_number(text))
    points: dict[float, float] = {}
    for pair in pairs:
        if len(pair) > 2:
            raise ValueError(f"'{'@'.join(pair)}' has more than one place")
        place = parse_number(pair[1], least=0.0, most=math.inf) if len(pair) == 2 else 1.0
        value = parse_number(pair[0])
        if place in points:
            raise ValueError(f"'{text}' has two strengths for one place; a decimal has a point, as in 0.5")
        points[place] = value
    places = sorted(points)
    return Strength(tuple((place, points[place]) for place in places), in_steps=places[-1] > 1)


def parse_number(text: str, least: float = -LARGEST, most: float = LARGEST) -> float:
    """A finite number within bounds; raises `ValueError` saying what is wrong."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None
    if not math.isfinite(value) or not least <= value <= most:
        upper = "" if most == math.inf else f" to {most:g}"
        raise ValueError(f"{text.strip()} is out of range ({least:g}{upper})")
    return value
