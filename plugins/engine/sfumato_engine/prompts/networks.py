"""Extra-network tags: ``<kind:argument:argument:key=value>``, taken out of the text before it is read."""

from __future__ import annotations

import re

from sfumato_engine.prompts.syntax import ExtraNetwork, Origin

_TAG = re.compile(r"<(?P<kind>\w+):(?P<arguments>[^>]+)>")


def extra_networks(text: str) -> tuple[str, list[ExtraNetwork]]:
    """The text without its tags, and the tags in order. White space around them stays."""
    plain, networks, _ = take_out_networks(text)
    return plain, networks


def take_out_networks(text: str) -> tuple[str, list[ExtraNetwork], Origin]:
    """As `extra_networks`, and where the characters that are left stood."""
    networks, pieces = [], []
    starts, sources = [0], [0]
    length = position = 0
    # Nothing is a tag behind the last bracket, and looking there would take time squared.
    for tag in _TAG.finditer(text, 0, text.rfind(">") + 1):
        networks.append(_network(tag))
        pieces.append(text[position : tag.start()])
        length += tag.start() - position
        position = tag.end()
        starts.append(length)
        sources.append(position)
    pieces.append(text[position:])
    return "".join(pieces), networks, Origin(tuple(starts), tuple(sources))


def _network(tag: re.Match[str]) -> ExtraNetwork:
    arguments = [argument.split("=") for argument in tag["arguments"].split(":")]
    return ExtraNetwork(
        kind=tag["kind"],
        # An argument with several equals signs has no one key.
        positional=tuple("=".join(argument) for argument in arguments if len(argument) != 2),
        named={argument[0]: argument[1] for argument in arguments if len(argument) == 2},
        start=tag.start(),
        end=tag.end(),
    )
