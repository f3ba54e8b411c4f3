"""The pictures that a picture was made from, found again by their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sfumato.errors import BadInput
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato_engine.provenance import input_files
from sfumato_engine.replay.comparison import shown
from sfumato_engine.replay.model_search import is_of_another_machine
from sfumato_engine.replay.request_changes import SEPARATOR, changed_request
from sfumato_engine.replay.story import StoredFile, Story

REGIONS = "regions"


def with_inputs(
    request: GenerationRequest, story: Story, beside: Path, changes: Mapping[str, Any], context: TaskContext
) -> GenerationRequest:
    """The request with the start picture and the masks where they are today.

    One that has changed since is taken all the same; that is told as a difference.

    Args:
        beside: The folder of the picture: files that were moved along with it are found there.
        changes: Fields that the caller sets; what they replace need not be here.

    Raises:
        BadInput: one is not here any more.
    """
    found = {
        field: _found(field, path, story.inputs.get(field, StoredFile()), beside, context)
        for field, path in input_files(request).items()
        if not {field, field.partition(SEPARATOR)[0]} & changes.keys()
    }
    regions = [found.pop(field) for field in list(found) if field.startswith(REGIONS)]
    return changed_request(request, {**found, **({REGIONS: regions} if regions else {})})


def _found(field: str, stored: Path, known: StoredFile, beside: Path, context: TaskContext) -> Path:
    files = list(_files(stored, beside))
    for path in files:
        if known.sha256 and context.library.sha256(path) == known.sha256:
            return path
    if files:
        return files[0]
    name = field if field.startswith(REGIONS) else f"{field}=PATH"
    raise BadInput(
        f"'{shown(stored.name)}', which the picture was made from, is not here.",
        why=f"There is no such file at '{shown(stored.parent)}' or beside the picture.",
        hint=f"Put it back, or give it: --set {name}",
    )


def _files(stored: Path, beside: Path) -> Iterator[Path]:
    for path in dict.fromkeys((stored, beside / stored.name)):
        try:
            if not is_of_another_machine(str(path)) and path.is_file():
                yield path
        except (OSError, ValueError):  # a stranger may have written anything
            continue
