"""`sfumato memory report`, `sfumato memory compare` and `sfumato memory plan`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import only_data_on_stdout, print_json, say
from sfumato.cli.request_options import chosen_fields, request_options, with_options
from sfumato.errors import BadInput, SfumatoError

if TYPE_CHECKING:
    from sfumato.studio import Studio
    from sfumato_memory.comparison import Comparison

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Fingerprint = Annotated[
    str,
    typer.Option(help="Only requests whose fingerprint begins so.", metavar="BEGINNING", show_default=False),
]
Device = Annotated[
    str, typer.Option(help="Only devices whose name begins so.", metavar="NAME", show_default=False)
]
OPTIONS = request_options()


def report(
    studio: Studio,
    since: Annotated[
        str,
        typer.Option(
            help="Only records since an age (7d, 12h) or a date (2026-11-30).",
            metavar="WHEN",
            show_default=False,
        ),
    ] = "",
    fingerprint: Fingerprint = "",
    device: Device = "",
    as_json: AsJson = False,
) -> None:
    """Tell what requests took: the peak of each phase beside what was foretold, and how it went over time.

    The JSON is a base for 'sfumato memory compare'.
    """
    from sfumato_memory import selection
    from sfumato_memory.output import print_report, print_trends
    from sfumato_memory.records import MemoryRecords
    from sfumato_memory.summaries import Report, summaries

    records = MemoryRecords(studio.database).find(
        since=selection.since(since), fingerprint=fingerprint, device=device
    )
    found = summaries(records)
    if as_json:
        print_json(Report(made=time.time(), items=tuple(found)))
        return
    if not found:
        say("There are no such records: they are made as pictures are drawn.")
        return
    print_report(found)
    print_trends(records)


def compare(
    studio: Studio,
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="A version, a record's id, a date or an age (all before it), or a file of 'report --json'.",
        ),
    ],
    threshold: Annotated[str, typer.Option(help="Growth that is let pass.", metavar="PERCENT")] = "5%",
    against: Annotated[
        str,
        typer.Option(
            help="What is compared with it, in the same ways (a date: all since); by default the newest.",
            metavar="HEAD",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Compare peaks of memory with those of before; fails where one has grown beyond the threshold."""
    from sfumato_memory import comparison
    from sfumato_memory.output import print_differences
    from sfumato_memory.records import MemoryRecords
    from sfumato_memory.selection import base_and_head

    share = _share(threshold)
    found = comparison.compare(*base_and_head(MemoryRecords(studio.database), base, against))
    if as_json:
        print_json(_as_data(found, share))
    elif found.differences:
        print_differences(found.differences, share)
    for line in found.missing:
        say(line)
    _judge(found, share, base)


def plan(
    studio: Studio,
    request: Annotated[
        str, typer.Argument(help="A prompt, a request in a file (.toml, .json), or a picture of one.")
    ],
    model_options: Annotated[
        list[str] | None,
        typer.Option(
            "--model-option", help="A knob of the model family, such as shift=3.", metavar="NAME=VALUE"
        ),
    ] = None,
    as_json: AsJson = False,
    **values: Any,
) -> None:
    """Tell how much memory each phase of a request will take, and where each part of the models will lie.

    Options are those of 'sfumato generate'; models are looked at, and nothing is drawn.
    """
    from sfumato_memory.output import print_plan
    from sfumato_memory.records import MemoryRecords
    from sfumato_memory.requests import request_from
    from sfumato_memory.summaries import measured_peaks, summaries

    fields = chosen_fields(OPTIONS, values).request
    if model_options:
        fields["model_options"] = dict(_pair(text) for text in model_options)
    with only_data_on_stdout():
        told = studio.run("memory_plan", request_from(studio, request, fields)).model_dump(mode="json")
        try:
            alike = MemoryRecords(studio.database).find(fingerprint=told["fingerprint"])
        except SfumatoError as error:  # what will be taken is known without them
            say(f"What such requests took is not known: {error}")
            alike = []
    records = [record for record in alike if record.device == told["device"]]
    if as_json:
        print_json({**told, "measured": summaries(records, by_version=False)})
    else:
        print_plan(told, measured_peaks(records))


plan = with_options(plan, OPTIONS)


def _share(text: str) -> float:
    """'5%', '5 %' and '5' are a twentieth. Raises `BadInput`, also where a share may be meant: '0.05'."""
    number = text.strip().removesuffix("%")
    try:
        percentage = float(number)
    except ValueError:
        percentage = -1.0
    if not 0 <= percentage < float("inf"):
        raise BadInput(f"'{text}' is no threshold.", hint="Give a percentage, such as --threshold 5%")
    if 0 < percentage < 1 and number == text.strip():
        raise BadInput(
            f"'{text}' may mean {percentage:g} % or {percentage * 100:g} %.",
            hint="Write the threshold with a %.",
        )
    return percentage / 100


def _pair(text: str) -> tuple[str, Any]:
    from sfumato.settings_sources import parse_json

    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise BadInput(f"'{text}' is not a name with a value.", hint="Write --model-option shift=3")
    return name.strip(), parse_json(value)


def _judge(found: Comparison, share: float, base: str) -> None:
    """Raises `SfumatoError` where memory has grown, and where nothing could be compared."""
    if not found.differences:
        raise SfumatoError(
            f"Nothing can be compared with '{base}'.",
            why="No request was measured on the same device before and after.",
            hint="Draw the same requests again; 'sfumato memory report' lists what there is.",
        )
    grown = found.grown(share)
    if grown:
        worst = max(grown, key=lambda one: one.growth)
        raise SfumatoError(
            f"Memory has grown in {len(grown)} of {len(found.differences)} phases.",
            why=f"{worst.phase} of '{worst.summary.name}' takes {worst.growth:.1%} more; "
            f"{_percentage(share)} would be let pass.",
            hint="Where that is meant, make a new base: sfumato memory report --json",
        )
    say(f"No phase takes over {_percentage(share)} more: {len(found.differences)} compared.")


def _percentage(share: float) -> str:
    """With all the digits that were given."""
    return f"{share * 100:g}%"


def _as_data(found: Comparison, share: float) -> dict[str, Any]:
    return {
        "threshold": share,
        "differences": [
            {
                "fingerprint": one.summary.fingerprint,
                "description": one.summary.description,
                "device": one.summary.device,
                "phase": one.phase,
                "before": one.before,
                "after": one.after,
                "growth": one.growth,
            }
            for one in found.differences
        ],
        "missing": list(found.missing),
        "grown": len(found.grown(share)),
    }
