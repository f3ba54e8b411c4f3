"""`sfumato doctor`: what would stop a user, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from sfumato.cli.output import only_data_on_stdout, print_json, print_table
from sfumato.cli.session import Session


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the installation; ends with exit code 1 when there is a problem."""
    from sfumato.doctor import examine

    session: Session = context.obj
    studio = session.studio(lenient=True)
    with only_data_on_stdout():
        diagnoses = examine(studio)
    problems = sum(result.state == "problem" for diagnosis in diagnoses for result in diagnosis.results)
    if as_json:
        print_json({"problems": problems, "checks": diagnoses})
    else:
        rows = [
            (
                diagnosis.label,
                result.label,
                result.state,
                " ".join(filter(None, (result.detail, result.hint))),
            )
            for diagnosis in diagnoses
            for result in diagnosis.results
        ]
        print_table(("check", "what", "state", "detail"), rows)
        print(f"{problems} problem{'' if problems == 1 else 's'} found." if problems else "No problem found.")
    if problems:
        raise typer.Exit(1)
