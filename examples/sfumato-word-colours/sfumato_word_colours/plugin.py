"""Tells Sfumato what there is; the code is imported when it is first used."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.sampling import Option
from sfumato.training import TrainerInfo

SFUMATO_API = "1.0"


@hookimpl
def register_trainers(trainers: Registrar[TrainerInfo]) -> None:
    trainers.add(
        "word_colours",
        "sfumato_word_colours.trainer:train",
        label="Word Colours",
        summary="Learns the colour that each word of the captions stands for.",
        options=(
            Option(
                name="words",
                default=256,
                minimum=1,
                maximum=65536,
                description="How many words are told apart; more share a colour by chance.",
            ),
        ),
    )
