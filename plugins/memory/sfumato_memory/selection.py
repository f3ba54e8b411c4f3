"""Which records are meant: by a version, a record's id, a date, an age, or a file of a report."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from sfumato.errors import BadInput
from sfumato_memory.files import is_file
from sfumato_memory.records import MemoryRecord, MemoryRecords
from sfumato_memory.summaries import Report, Summary, summaries

UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
HOW = "Make one: sfumato memory report --json > base.json"
WAYS = "Give a version (0.1.0), the id of a record, a date (2026-11-30), an age (7d), or a file."


def moment(text: str) -> float | None:
    """A date, a date with a time, or an age ("7d", "12h") as seconds since 1970; None for anything else."""
    age = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text.strip())
    if age:
        return time.time() - float(age[1]) * UNITS[age[2]]
    if not re.match(r"\d{4}-\d{2}", text.strip()):
        return None
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        return None


def since(text: str) -> float:
    """As `moment`; an empty text is the beginning. Raises `BadInput` for anything else."""
    if not text:
        return 0.0
    found = moment(text)
    if found is None:
        raise BadInput(f"'{text}' is no time.", hint="Give an age such as 7d, or a date such as 2026-11-30.")
    return found


def base_and_head(
    records: MemoryRecords, base: str, against: str = ""
) -> tuple[Sequence[Summary], Sequence[Summary]]:
    """What a comparison compares.

    Args:
        base: See `WAYS`; a date or an age stands for all before it.
        against: The same, where a date or an age stands for all since; by default the newest of what is no
            part of the base.

    Raises:
        BadInput: nothing is known by that name.
    """
    everything = records.find()
    path = Path(base)
    if is_file(path):
        items = read_report(path).items
        return items, _chosen(everything, against) if against else _newest_version(_since(everything, items))
    first = _part(everything, base, before=True)
    if against:
        return summaries(first), _chosen(everything, against)
    ids, alike = {record.id for record in first}, {_key(one) for one in first}
    others = [record for record in everything if record.id not in ids]
    if _is_id(base):  # one record is compared with what came after it
        others = [one for one in others if one.id > first[0].id and _key(one) in alike]
    return summaries(first), _newest_version(others)


def _since(everything: Sequence[MemoryRecord], base: Sequence[Summary]) -> list[MemoryRecord]:
    """Where a base was made of these records, those that came after it; of one from elsewhere all are."""
    ends = {(one.key, one.last) for one in base}
    last: dict[tuple[str, str], int] = {}
    for record in everything:
        if (_key(record), record.at) in ends:
            last[_key(record)] = max(record.id, last.get(_key(record), 0))
    return [record for record in everything if record.id > last.get(_key(record), 0)]


def read_report(path: Path) -> Report:
    """What ``sfumato memory report --json`` has written. Raises `BadInput` for another file."""
    try:
        return Report.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise BadInput(f"'{path}' is no report.", why=_why(error), hint=HOW) from error


def _why(error: ValidationError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error}."
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if place == "version":
        return "It was made by another version of Sfumato."
    return f"{place}: {first['msg']}." if place else f"{first['msg']}."


def _chosen(everything: Sequence[MemoryRecord], name: str) -> Sequence[Summary]:
    path = Path(name)
    return read_report(path).items if is_file(path) else summaries(_part(everything, name, before=False))


def _part(everything: Sequence[MemoryRecord], name: str, *, before: bool) -> list[MemoryRecord]:
    at = moment(name)
    if at is not None:
        found = [record for record in everything if (record.at < at) == before]
    elif _is_id(name):
        found = [record for record in everything if record.id == int(name)]
    else:
        found = [record for record in everything if record.versions.get("sfumato") == name]
    if not found:
        versions = sorted({record.versions.get("sfumato", "") for record in everything} - {""})
        known = f"There are records of {', '.join(versions)}." if versions else "There are no records yet."
        raise BadInput(f"There is no record for '{name}'.", why=known, hint=WAYS)
    return found


def _newest_version(records: Sequence[MemoryRecord]) -> Sequence[Summary]:
    """Of each request on each device those with the versions of its newest record."""
    newest = {_key(record): record.versions for record in records}
    return summaries([one for one in records if one.versions == newest[_key(one)]])


def _key(record: MemoryRecord) -> tuple[str, str]:
    return record.fingerprint, record.device


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdigit()
