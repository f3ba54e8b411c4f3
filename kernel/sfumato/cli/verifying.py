"""Verifying a folder: every picture is drawn again, and a table tells which come out the same."""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.cli.output import print_json, print_table, say
from sfumato.cli.replaying import Draw, drawing, failure_json, outcome, report_json
from sfumato.errors import BadInput, Cancelled

if TYPE_CHECKING:
    from sfumato.studio import Studio

log = logging.getLogger(__name__)

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
WORDS = {"same": "same", "rounding": "same up to rounding", "differs": "differs"}


@dataclass(frozen=True)
class Row:
    """How one picture came out."""

    picture: Path
    result: str
    details: str
    same: bool = False


def verify_folder(studio: Studio, folder: Path, *, recursive: bool, keep: Path | None, as_json: bool) -> int:
    """Replay all pictures of a folder and print what came of it.

    Returns:
        0 when all are the same, up to rounding, else 1.

    Raises:
        BadInput: it is no folder, or has no pictures.
        Cancelled: the user pressed Ctrl-C; the pictures verified before are in the table.
    """
    pictures = _pictures(folder, recursive=recursive)
    rows: list[Row] = []
    try:
        with drawing(studio, {}) as draw:
            for number, picture in enumerate(pictures, start=1):
                rows.append(_verified(draw, picture, f"picture {number} of {len(pictures)}", keep, as_json))
    except Cancelled as cancelled:
        hint = f"{len(rows)} of {len(pictures)} pictures were verified."
        raise Cancelled("Cancelled.", hint=hint) from cancelled
    finally:
        _print(rows, folder, as_json=as_json)
    return 0 if all(row.same for row in rows) else 1


def _pictures(folder: Path, *, recursive: bool) -> list[Path]:
    """The pictures by their endings, sorted; other files are told, hidden ones are not."""
    if not folder.is_dir():
        raise BadInput(f"'{folder}' is no folder.", hint="Name one; for a picture: sfumato replay PICTURE")
    files = sorted(_files(folder, recursive=recursive))
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    others = [path.name for path in files if path.suffix.lower() not in PICTURES]
    if others:
        names = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        say(f"Passed over, being no pictures: {len(others)} ({names})")
    if not pictures:
        hint = "" if recursive else "--recursive looks into its folders too."
        raise BadInput(f"There are no pictures in '{folder}'.", hint=hint)
    return pictures


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """Raises `BadInput` for a folder that cannot be read: its pictures would pass unverified."""

    def refuse(error: OSError) -> None:
        raise BadInput(f"The folder '{error.filename}' cannot be read.", why=f"{error.strerror}.") from error

    for base, folders, names in os.walk(folder, onerror=refuse):
        yield from (Path(base, name) for name in names if not name.startswith("."))
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]


def _verified(draw: Draw, picture: Path, subject: str, keep: Path | None, as_json: bool) -> Row:
    try:
        with _place(keep) as output_folder:
            report = draw(picture, subject, output_folder)
    except Cancelled:
        raise
    except Exception as error:  # whatever a plugin raises: the other pictures are verified all the same
        log.debug("%s cannot be drawn again.", picture, exc_info=True)
        failure = failure_json(picture, error)
        if as_json:
            print_json(failure)
        return Row(picture, failure["verdict"], failure["error"])
    if as_json:
        told = report_json(report)
        if not keep:
            told["new"]["path"] = None  # it is gone by now
        print_json(told)
    causes = [] if report.verdict == "same" else [*map(str, report.differences)]
    causes += [f"not carried over: {entry}" for entry in report.not_carried_over]
    return Row(picture, WORDS[report.verdict], "; ".join([outcome(report), *causes]), report.same)


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Where a new picture goes: the folder to keep them in, or one that is gone afterwards."""
    if keep:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="sfumato-verify-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _print(rows: list[Row], folder: Path, *, as_json: bool) -> None:
    if not rows:
        return
    if not as_json:
        cells = [(str(row.picture.relative_to(folder)), row.result, row.details) for row in rows]
        print_table(("picture", "result", "details"), cells)
    counted = Counter(row.result for row in rows)
    say(", ".join(f"{count} {result}" for result, count in counted.items()))
