"""What is to lie on a device in a phase, decided from sizes alone. Imports no torch.

The rule, in the order in which it gives way:

1. What the phase uses is wholly on the device, and everything that was there stays.
2. What the phase does not use leaves, as far as it must: models kept for later first, the one not used for
   longest before the others; then text encoders, autoencoders, and the network that draws.
3. What the phase uses lies there in part, the rest is streamed to it, weight by weight.
4. All of it is streamed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

Key = tuple[int, str]
"""Which model, by a number of its own, and the kind of part."""


@dataclass(frozen=True)
class PartState:
    """A part of a loaded model, in bytes.

    Attributes:
        model: Its name.
        total: On the device with all of it resident.
        fixed: What always is: norms, biases.
        resident: What is there now.
        passing: What weights take in passing while it computes, if it may have so many bytes on the device.
        turn: Parts with a lower one leave first.
        can_stream: Whether it computes with weights that are not there; all of it must be there otherwise.
    """

    key: Key
    model: str
    total: int
    resident: int
    fixed: int = 0
    passing: Callable[[int], int] = field(default=lambda budget: 0, compare=False)
    turn: int = 0
    can_stream: bool = True

    @property
    def least(self) -> int:
        """With how little on the device it can compute."""
        return self.fixed if self.can_stream else self.total

    @property
    def part(self) -> str:
        return self.key[1]


@dataclass(frozen=True)
class Decision:
    """How many bytes each part may have on the device, and what the phase takes at its peak."""

    budgets: Mapping[Key, int]
    peak: int


class DoesNotFit(Exception):
    """Even with every weight streamed, the work of a phase is more than there is room for.

    Attributes:
        needed: Bytes. room: Bytes.
    """

    def __init__(self, needed: int, room: int) -> None:
        super().__init__(f"{needed} bytes are needed, and there are {room}")
        self.needed = needed
        self.room = room


def decide(parts: Sequence[PartState], used: Collection[Key], working: int, room: int) -> Decision:
    """Where parts lie in a phase.

    Args:
        parts: All that may lie on the device.
        used: Those that the phase computes with.
        working: Bytes that it needs beside weights.
        room: Bytes that weights and work may take together.

    Raises:
        DoesNotFit: there is no way.
    """
    budgets = {part.key: part.total if part.key in used else part.resident for part in parts}
    using = [part for part in parts if part.key in used]

    def peak() -> int:
        passing = max((part.passing(budgets[part.key]) for part in using), default=0)
        return sum(budgets.values()) + passing + working

    for part in sorted(parts, key=lambda part: part.turn):
        if peak() <= room:
            return Decision(budgets, peak())
        if part.key not in used:
            budgets[part.key] = min(part.fixed, part.resident)
    if peak() <= room:
        return Decision(budgets, peak())
    for part in sorted(using, key=lambda part: -part.total):  # the largest gives way first
        whole = budgets[part.key]
        budgets[part.key] = part.least
        if peak() <= room:
            budgets[part.key] = _most(part, whole, room - (peak() - _takes(part, part.least)))
            return Decision(budgets, peak())
    raise DoesNotFit(peak(), room)


def smallest(parts: Sequence[PartState], used: Collection[Key], peak: int) -> Decision:
    """As little there as can be."""
    return Decision({part.key: part.least if part.key in used else part.fixed for part in parts}, peak)


def _takes(part: PartState, budget: int) -> int:
    return budget + part.passing(budget)


def _most(part: PartState, whole: int, room: int) -> int:
    """The largest budget with which a part fits the room, what it takes in passing included."""
    least, most = part.least, whole
    while most - least > max(part.total // 256, 1):
        middle = (least + most) // 2
        if _takes(part, middle) <= room:
            least = middle
        else:
            most = middle
    return least


def in_words(parts: Sequence[PartState], decision: Decision, used: Collection[Key]) -> str:
    """How what a phase uses is placed: "whole", "transformer 60 % resident", "transformer streamed"."""
    told = []
    for part in parts:
        budget = decision.budgets[part.key]
        if part.key not in used or budget >= part.total:
            continue
        streamed = budget <= part.fixed
        share = f"{100 * budget // max(part.total, 1)} % resident"
        told.append(f"{part.part} {'streamed' if streamed else share}")
    return ", ".join(told) or "whole"
