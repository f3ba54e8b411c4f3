"""The prompt grammar of AUTOMATIC1111: weights, scheduling, alternation, BREAK, AND and extra-network tags.

`compile_prompt` is what drawing needs; `parse` gives the syntax tree with its places in the text, and
`tokens` what a form colours.
"""

from sfumato_engine.prompts.attention import escape, parse_attention
from sfumato_engine.prompts.colouring import Token, tokens
from sfumato_engine.prompts.compilation import CompiledPrompt, ScheduledPart, compile_prompt
from sfumato_engine.prompts.composition import split_and
from sfumato_engine.prompts.networks import extra_networks
from sfumato_engine.prompts.parsing import parse
from sfumato_engine.prompts.scheduling import schedule
from sfumato_engine.prompts.syntax import (
    Alternation,
    Break,
    Emphasis,
    ExtraNetwork,
    Node,
    Part,
    Prompt,
    Scheduled,
    Text,
)

__all__ = [
    "compile_prompt",
    "CompiledPrompt",
    "ScheduledPart",
    "parse",
    "Prompt",
    "Part",
    "Node",
    "Text",
    "Emphasis",
    "Scheduled",
    "Alternation",
    "Break",
    "ExtraNetwork",
    "tokens",
    "Token",
    "schedule",
    "split_and",
    "extra_networks",
    "parse_attention",
    "escape",
]
