"""Tells Sfumato what there is; the code is imported when it is first used."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.sampling import Option
from sfumato.stages import StageInfo

SFUMATO_API = "1.0"


@hookimpl
def register_stages(stages: Registrar[StageInfo]) -> None:
    stages.add(
        "film_grain",
        "sfumato_film_grain.stage:apply",
        label="Film Grain",
        at="picture",
        summary="Adds the grain of film, the same for the same seed.",
        options=(
            Option(
                name="amount",
                default=0.05,
                minimum=0,
                maximum=1,
                description="Standard deviation of the grain; 1 goes from black to white.",
            ),
        ),
    )
