"""From what is asked for to a row in the queue."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from sqlalchemy import Connection, func, insert, select

from sfumato.errors import BadInput
from sfumato.jobs.records import LOCAL_USER
from sfumato.jobs.store import keep_events
from sfumato.jobs.tables import JOBS
from sfumato.request import GenerationRequest, GridRequest
from sfumato.request.generation import RANDOM_SEED, SEED_LIMIT
from sfumato.request.schema import checked, load_model
from sfumato.text import writable

if TYPE_CHECKING:
    from sfumato.jobs.queue import Submission
    from sfumato.registries import Registries

LONGEST_LABEL = 200
LONGEST_KEY = 500


@dataclass(frozen=True)
class Ready:
    """A submission that was checked, as the columns of its row."""

    id: str
    owner: str
    key: str | None
    columns: dict[str, Any] = field(default_factory=dict)


def prepare(submission: Submission, registries: Registries) -> Ready:
    """Check a submission and draw its open seeds.

    Raises:
        UnknownName: no plugin does work of that kind.
        BadInput: the request cannot be, or work of that kind cannot be queued.
    """
    info = registries.tasks.get(submission.kind).info
    if not info.request:
        raise BadInput(
            f"Work of the kind '{info.name}' cannot be queued.",
            why="Its plugin does not tell what it is asked with.",
        )
    if submission.key is not None and len(submission.key) > LONGEST_KEY:
        raise BadInput("The key of the submission is too long.", hint=f"{LONGEST_KEY} characters are enough.")
    request = with_seeds(_request(submission.request, load_model(info.request)))
    folder = submission.output_folder
    columns = {
        "kind": info.name,
        "label": in_one_line(submission.label or _label(request)),
        "lane": info.lane,
        "priority": submission.priority,
        "request": request.model_dump(mode="json", exclude_unset=True),
        "output_folder": None if folder is None else str(Path(folder).absolute()),
    }
    return Ready(secrets.token_hex(8), submission.user or LOCAL_USER, submission.key, columns)


def _request(given: Any, model: type[BaseModel]) -> BaseModel:
    if isinstance(given, model):
        return given
    fields = given.model_dump(exclude_unset=True) if isinstance(given, BaseModel) else given
    return checked(model, fields)


def with_seeds(request: BaseModel) -> BaseModel:
    """The request with seeds that were left open drawn, so that every attempt makes the same pictures."""
    if isinstance(request, GridRequest) and request.seeds != "random":
        return request.model_copy(update={"base": with_seeds(request.base)})
    if not isinstance(request, GenerationRequest):
        return request
    drawn = {"seed": secrets.randbelow(SEED_LIMIT)} if request.seed == RANDOM_SEED else {}
    if request.variation_strength and request.variation_seed == RANDOM_SEED:
        drawn["variation_seed"] = secrets.randbelow(SEED_LIMIT)
    return request.model_copy(update=drawn)


def _label(request: BaseModel) -> str:
    base = getattr(request, "base", request)
    return str(getattr(base, "prompt", "") or "")


def in_one_line(text: str) -> str:
    """One short line that every database takes."""
    return " ".join(writable(text.replace("\0", " ")).split())[:LONGEST_LABEL]


def insert_all(connection: Connection, ready: Sequence[Ready]) -> list[str]:
    """Queue them in their order; of those with a key that is known already, the job that has it.

    Returns:
        The id of each one's job.
    """
    last = connection.execute(select(func.coalesce(func.max(JOBS.c.position), 0))).scalar_one()
    known: dict[tuple[str, str], str] = {}
    ids, rows = [], []
    for one in ready:
        job = None if one.key is None else _known_job(connection, known, one.owner, one.key)
        if job is None:
            job = one.id
            last += 1
            rows.append(_row(one, last))
            if one.key is not None:
                known[one.owner, one.key] = job
        ids.append(job)
    if rows:
        connection.execute(insert(JOBS), rows)
    for row in rows:
        told = {"state": "queued", "priority": row["priority"], "position": row["position"], "attempt": 0}
        keep_events(connection, row["id"], row["owner"], [(row["created"], "job_changed", told)])
    return ids


def _known_job(connection: Connection, known: dict[tuple[str, str], str], owner: str, key: str) -> str | None:
    if (owner, key) in known:
        return known[owner, key]
    same = select(JOBS.c.id).where(JOBS.c.owner == owner, JOBS.c.key == key)
    return connection.execute(same).scalar_one_or_none()


def _row(ready: Ready, position: int) -> dict[str, Any]:
    return {
        "id": ready.id,
        "owner": ready.owner,
        "key": ready.key,
        "state": "queued",
        "position": position,
        "created": time.time(),
        **ready.columns,
    }
