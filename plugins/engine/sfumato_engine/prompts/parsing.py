"""From a prompt's text to its syntax tree."""

from __future__ import annotations

from dataclasses import replace

from sfumato_engine.prompts.attention import AttentionReader
from sfumato_engine.prompts.composition import parts
from sfumato_engine.prompts.networks import take_out_networks
from sfumato_engine.prompts.scheduling import Section, Switch, read_schedule
from sfumato_engine.prompts.syntax import Alternation, Node, Origin, Part, Prompt, Scheduled


def parse(prompt: str) -> Prompt:
    """The syntax tree of a prompt. No text is an error, and time grows with its length alone."""
    text, networks, origin = take_out_networks(prompt)
    found = (
        _part(text[start:end], weight, replace(origin, offset=start)) for start, end, weight in parts(text)
    )
    return Prompt(tuple(found), tuple(networks), prompt)


def _part(text: str, weight: float, origin: Origin) -> Part:
    start, end = origin.span(0, len(text))
    return Part(weight, _nodes(text, read_schedule(text), origin), start, end)


def _nodes(text: str, section: Section, origin: Origin) -> tuple[Node, ...]:
    reader = AttentionReader(text, origin)
    position = section.start
    for switch in section.switches:
        reader.read(position, switch.start)
        reader.add(_node(text, switch, origin))
        position = switch.end
    reader.read(position, section.end)
    return reader.nodes()


def _node(text: str, switch: Switch, origin: Origin) -> Scheduled | Alternation:
    start, end = origin.span(switch.start, switch.end)
    options = tuple(_nodes(text, option, origin) for option in switch.options)
    if switch.when is None:
        return Alternation(options, start, end)
    before, after = options
    return Scheduled(before, after, switch.when, start, end)
