"""Prompts that change over the steps: ``[before:after:when]`` and ``[a|b]``.

What is not well-formed is text. Brackets hold only what is well-formed itself, so one that is never closed,
closed by the wrong kind or holds a stray colon is text, and so are all those around it, but not those within.
A bar outside of square brackets, or a backslash with nothing behind it in its line, leaves nothing in the
prompt to be scheduled at all. Both are what AUTOMATIC1111 does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from sfumato_engine.prompts.syntax import MAX_DEPTH

_MARK = re.compile(r"\\.|[\\()\[\]:|]")
_WHEN = re.compile(r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
_OPENING = {")": "(", "]": "["}


@dataclass(frozen=True)
class Section:
    """A stretch of the text, and the places in it that change."""

    start: int
    end: int
    switches: tuple[Switch, ...] = ()


@dataclass(frozen=True)
class Switch:
    """A place that changes: from the first of two options to the second, or without `when` in turn."""

    start: int
    end: int
    options: tuple[Section, ...]
    when: int | float | None

    def last_step(self, steps: int) -> int:
        """The last step of the first option, at most `steps`; 0 or less when it is never used."""
        when = self.when * steps if isinstance(self.when, float) else self.when or 0
        return int(max(-1, min(steps, when)))

    def at(self, step: int, steps: int) -> Section:
        """The option in force at a step, counted from 1."""
        if self.when is None:
            return self.options[(step - 1) % len(self.options)]
        return self.options[0 if step <= self.last_step(steps) else 1]


def schedule(text: str, steps: int) -> list[tuple[int, str]]:
    """The text of each step, as ``(last step, text in force until then)`` in order; the last one is `steps`.

    Neighbours may be equal: there is an entry for each step that the text names, with an alternation for all.
    """
    section = read_schedule(text)
    return [(step, _at(text, section, step, steps)) for step in _last_steps(section, steps)]


def _last_steps(section: Section, steps: int) -> list[int]:
    switches = list(_all(section))
    if any(switch.when is None for switch in switches):
        return list(range(1, steps + 1)) or [steps]
    return sorted({steps, *(last for switch in switches if (last := switch.last_step(steps)) >= 1)})


def _all(section: Section) -> Iterator[Switch]:
    for switch in section.switches:
        yield switch
        for option in switch.options:
            yield from _all(option)


def _at(text: str, section: Section, step: int, steps: int) -> str:
    pieces, position = [], section.start
    for switch in section.switches:
        pieces.append(text[position : switch.start])
        pieces.append(_at(text, switch.at(step, steps), step, steps))
        position = switch.end
    pieces.append(text[position : section.end])
    return "".join(pieces)


def read_schedule(text: str) -> Section:
    """The whole text with all that changes in it."""
    return _Reader(text).read()


@dataclass
class _Bracket:
    """One that is open, or the text around all of them."""

    opening: str
    start: int
    section_start: int
    sections: list[Section] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)
    colons: int = 0
    bars: int = 0
    height: int = 0

    def end_section(self, position: int) -> None:
        self.sections.append(Section(self.section_start, position, tuple(self.switches)))
        self.switches = []
        self.section_start = position + 1

    @property
    def content(self) -> list[Switch]:
        return [switch for section in self.sections for switch in section.switches] + self.switches


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open = [_Bracket("", 0, 0)]
        self._is_plain = False

    def read(self) -> Section:
        for mark in _MARK.finditer(self._text):
            self._take(mark[0], mark.start())
            if self._is_plain:
                break
        self._leave_open_ones()
        switches = () if self._is_plain else tuple(self._open[0].switches)
        return Section(0, len(self._text), switches)

    def _take(self, mark: str, position: int) -> None:
        innermost = self._open[-1]
        if mark in ("(", "["):
            self._open.append(_Bracket(mark, position, position + 1))
        elif mark in _OPENING:
            self._close(mark, position)
        elif mark == "\\" or (mark == "|" and not innermost.opening):
            self._is_plain = True
        elif mark in (":", "|") and innermost.opening:
            innermost.colons += mark == ":"
            innermost.bars += mark == "|"
            innermost.end_section(position)

    def _close(self, mark: str, position: int) -> None:
        bracket = self._open[-1]
        switches = self._meaning(bracket, position) if bracket.opening == _OPENING[mark] else None
        if switches is None:
            self._leave_open_ones()
            return
        self._open.pop()
        self._open[-1].switches += switches
        self._open[-1].height = max(self._open[-1].height, bracket.height + 1)

    def _meaning(self, bracket: _Bracket, position: int) -> list[Switch] | None:
        """What a bracket closed here leaves to the text around it; None when it is not well-formed."""
        if bracket.height >= MAX_DEPTH:
            return None
        bracket.end_section(position)
        end = position + 1
        if bracket.opening == "(":
            return bracket.content if bracket.colons <= 1 and not bracket.bars else None
        if bracket.bars:
            options = tuple(bracket.sections)
            return None if bracket.colons else [Switch(bracket.start, end, options, when=None)]
        if not bracket.colons:
            return bracket.content
        *options_found, last = bracket.sections
        when = _WHEN.fullmatch(self._text, last.start, last.end)
        if when is None or len(options_found) > 2:
            return None
        nothing = Section(bracket.start + 1, bracket.start + 1)
        before, after = [nothing, *options_found][-2:]
        return [Switch(bracket.start, end, (before, after), _number(when[1]))]

    def _leave_open_ones(self) -> None:
        """All open brackets turn out to be text; what changes within stays."""
        around, *strays = self._open
        for stray in strays:
            self._is_plain |= stray.bars > 0
            around.switches += stray.content
        self._open = [around]


def _number(text: str) -> int | float:
    number = float(text)
    return number if "." in text else int(max(-sys.maxsize, min(sys.maxsize, number)))
