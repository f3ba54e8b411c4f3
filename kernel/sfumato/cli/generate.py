"""`sfumato generate`: prompts become pictures."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import only_data_on_stdout

if TYPE_CHECKING:
    from sfumato.cli.request_options import ChosenFields, OptionField
    from sfumato.models import ModelFamily
    from sfumato.request import GenerationRequest
    from sfumato.studio import Studio

log = logging.getLogger(__name__)

NAME = "generate"


def add_to(app: typer.Typer, studio: Studio | None) -> None:
    """Without a studio, adds a stand-in that tells the main help of the command; see `build_command`."""
    app.command(NAME)(_stand_in if studio is None else _command_function(studio))


def _stand_in() -> None:
    """Make pictures from prompts and print the path of each one."""


def build_command(studio: Studio) -> Any:
    """The command, with an option for every field of a request and every knob of the model families."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(NAME)(_command_function(studio))
    return typer.main.get_command(app)


def _command_function(studio: Studio) -> Callable[..., None]:
    from sfumato.cli.request_options import with_options

    options = _options(studio)

    def generate(
        prompts: Annotated[
            list[str] | None,
            typer.Argument(
                help="What to draw; several prompts make several pictures. '-' reads them from stdin."
            ),
        ] = None,
        file: Annotated[
            Path | None,
            typer.Option(
                help="Read prompts from a file: one a line, lines starting with # are skipped.",
                metavar="FILE",
            ),
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(help="Where to save pictures; by default, general.output_folder.", metavar="DIR"),
        ] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print a JSON object for every picture.")
        ] = False,
        **values: Any,
    ) -> None:
        """Make pictures from prompts and print the path of each one.

        Most used: --model, --negative, --steps, --cfg-scale, --width, --height, --seed, --count. Options that
        begin alike belong together: any --hires-... switches hires fix on.
        """
        from sfumato.cli.generation import generate_all
        from sfumato.cli.prompts import collect_prompts
        from sfumato.cli.request_options import chosen_fields

        chosen = chosen_fields(options, values)
        texts = collect_prompts(prompts or [], file)
        requests = [_request(studio, text, chosen) for text in texts]
        generate_all(studio, requests, output_folder=out and out.expanduser(), as_json=as_json)

    return with_options(generate, options, eval_str=True)


def _options(studio: Studio) -> dict[OptionField, inspect.Parameter]:
    from sfumato.cli.request_options import family_options, request_options
    from sfumato.errors import SfumatoError

    options = request_options()
    for entry in studio.registries.model_families:
        try:
            with only_data_on_stdout(), entry.answerable("tell its options"):
                family: type[ModelFamily] = entry.load()
                options.update(family_options(entry.info.name, entry.info.label, family.options))
        except (SfumatoError, OSError) as error:
            log.warning("%s", error)
    return options


def _request(studio: Studio, prompt: str, chosen: ChosenFields) -> GenerationRequest:
    """Raises `BadInput` for a field out of range, or a knob of another family than the model's."""
    from sfumato.errors import BadInput
    from sfumato.studio import build_request

    if not chosen.families:
        return build_request(prompt, chosen.request)
    with only_data_on_stdout():
        info = studio.library.find(chosen.request.get("model"))
    for family, knobs in chosen.families.items():
        if family != info.family:
            flags = ", ".join(f"--{family}-{name.replace('_', '-')}" for name in knobs)
            raise BadInput(
                f"{flags} cannot be used with the model '{info.name}'.",
                why=f"It is of the family '{info.family}', not '{family}'.",
                hint="Leave the option out, or choose another --model.",
            )
    return build_request(prompt, {**chosen.request, "model_options": chosen.families[info.family]})
