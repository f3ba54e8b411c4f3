"""Replaying pictures one after another, and telling how each came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.cli.generation import JSON_FIELDS, cancel_on_interrupt
from sfumato.cli.output import only_data_on_stdout, print_json, report_error, say
from sfumato.cli.progress import progress_display
from sfumato.errors import Cancelled, SfumatoError
from sfumato.events import CancelToken
from sfumato.replay import CannotReplay, Difference, NoStory, ReplayReport
from sfumato.watchdog import in_one_line

if TYPE_CHECKING:
    from sfumato.studio import Studio

Draw = Callable[[Path, str, Path | None], ReplayReport]
"""Replays a picture; the text tells which one it is of several, the folder where the new one goes."""


def replay_all(
    studio: Studio,
    pictures: Sequence[Path],
    changes: Mapping[str, Any],
    *,
    output_folder: Path | None,
    as_json: bool,
) -> int:
    """Replay pictures into the output folder; one that cannot be is told, and the others go on.

    Returns:
        The exit code: 0, or that of the first error.

    Raises:
        Cancelled: the user pressed Ctrl-C.
    """
    code, total = 0, len(pictures)
    with drawing(studio, changes) as draw:
        for number, picture in enumerate(pictures, start=1):
            subject = f"picture {number} of {total}" if total > 1 else ""
            try:
                report = draw(picture.expanduser(), subject, output_folder)
            except Cancelled:
                raise Cancelled(
                    "Cancelled.", hint=f"{number - 1} of {total} pictures were replayed."
                ) from None
            except SfumatoError as error:
                code = code or error.exit_code
                _tell_failure(picture, error, as_json=as_json)
            else:
                _tell(report, as_json=as_json)
    return code


@contextmanager
def drawing(studio: Studio, changes: Mapping[str, Any]) -> Iterator[Draw]:
    """A function that replays pictures, while progress is shown and Ctrl-C cancels in two steps."""
    cancel = CancelToken()
    with progress_display() as progress, cancel_on_interrupt(cancel, say):

        def draw(picture: Path, subject: str, folder: Path | None) -> ReplayReport:
            cancel.check()
            progress.subject = subject
            with only_data_on_stdout():
                report = studio.replay(
                    picture, output_folder=folder, on_event=progress, cancel=cancel, **changes
                )
            cancel.check()
            return report

        yield draw


def report_json(report: ReplayReport) -> dict[str, Any]:
    """What a script is told of a picture that was replayed."""
    return {
        **report.model_dump(mode="json", exclude={"record", "further"}),
        "new": report.record.model_dump(mode="json", include=set(JSON_FIELDS)),
        "further": [record.model_dump(mode="json", include=set(JSON_FIELDS)) for record in report.further],
    }


def failure_json(picture: Path, error: Exception) -> dict[str, Any]:
    """What a script is told of a picture that could not be replayed."""
    differences = error.differences if isinstance(error, CannotReplay) else ()
    verdict = "no story" if isinstance(error, NoStory) else "cannot"
    told = str(error) if isinstance(error, SfumatoError) else in_one_line(error)
    return {"path": picture, "verdict": verdict, "error": told, "differences": differences}


def _tell(report: ReplayReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report_json(report))
        return
    for record in (report.record, *report.further):
        print(record.path, flush=True)
    say(f"{_sentence(report)}{'' if report.verdict == 'same' else _listed(report.differences)}")
    for entry in report.not_carried_over:
        say(f"  Not carried over: {entry}")


def _tell_failure(picture: Path, error: SfumatoError, *, as_json: bool) -> None:
    if as_json:
        print_json(failure_json(picture, error))
    report_error(error)
    if isinstance(error, CannotReplay) and error.differences:
        say(_listed(error.differences).lstrip("\n"))


def _sentence(report: ReplayReport) -> str:
    name = report.path.name
    if report.verdict == "varied":
        return f"A variation of {name}. Changed:{_listed(report.changes)}"
    verdicts = {"same": f"The same as {name}", "rounding": f"The same as {name} up to rounding"}
    return f"{verdicts.get(report.verdict, f'Not the same as {name}')}: {outcome(report)}."


def outcome(report: ReplayReport) -> str:
    """How the pixels compare, in a few words."""
    if report.largest_difference is None:
        return "the sizes differ"
    if report.largest_difference == 0:
        return "to the bit"
    share = f"{report.differing_share or 0:.2%} of the pixels differ"
    if report.largest_difference == 1:
        return f"{share} by one level of 255"
    return f"{share}, by up to {report.largest_difference} levels of 255"


def _listed(differences: Sequence[Difference]) -> str:
    return "".join(f"\n  {difference}" for difference in differences)
