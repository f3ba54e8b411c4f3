"""Whose turn it is: the highest priority, then the user who waited longest, then the first in line."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from sfumato.jobs.tables import JOBS, TURNS


class Waiting(NamedTuple):
    """A queued job as far as its turn depends on it."""

    id: str
    owner: str
    priority: int
    position: int


def next_in_turn(connection: Connection, lane: str) -> Row[Any] | None:
    """The queued job to begin next, every column of it."""
    same = and_(TURNS.c.lane == JOBS.c.lane, TURNS.c.owner == JOBS.c.owner)
    query = (
        select(JOBS)
        .outerjoin(TURNS, same)
        .where(JOBS.c.state == "queued", JOBS.c.lane == lane)
        .order_by(JOBS.c.priority.desc(), func.coalesce(TURNS.c.served, 0), JOBS.c.position)
        .limit(1)
    )
    return connection.execute(query).one_or_none()


def count_turn(connection: Connection, lane: str, owner: str) -> None:
    """This user was served just now."""
    last = connection.execute(select(func.max(TURNS.c.served))).scalar_one() or 0
    whose = and_(TURNS.c.lane == lane, TURNS.c.owner == owner)
    if not connection.execute(update(TURNS).where(whose).values(served=last + 1)).rowcount:
        connection.execute(insert(TURNS).values(lane=lane, owner=owner, served=last + 1))


def order_of(connection: Connection, lane: str, owner: str | None = None) -> list[str]:
    """The queued jobs of a lane as `next_in_turn` will give them if nothing is added; of one user, or all."""
    columns = (JOBS.c.id, JOBS.c.owner, JOBS.c.priority, JOBS.c.position)
    query = select(*columns).where(JOBS.c.state == "queued", JOBS.c.lane == lane)
    if owner is not None:
        query = query.where(JOBS.c.owner == owner)
    turns = connection.execute(select(TURNS.c.owner, TURNS.c.served).where(TURNS.c.lane == lane))
    served = {row.owner: row.served for row in turns}
    return list(in_turns((Waiting(*row) for row in connection.execute(query)), served))


def in_turns(jobs: Iterable[Waiting], served: Mapping[str, int]) -> Iterator[str]:
    """Ids of jobs in the order in which they are begun.

    Args:
        served: When each user was served last, as a number that counts up; absent for who never was.
    """
    last = dict(served)
    clock = max(last.values(), default=0)
    in_line = sorted(jobs, key=lambda job: (-job.priority, job.position))
    for _, equals in groupby(in_line, key=lambda job: job.priority):
        lines: dict[str, deque[Waiting]] = {}
        for job in equals:
            lines.setdefault(job.owner, deque()).append(job)
        turns = [(last.get(owner, 0), line[0].position, owner) for owner, line in lines.items()]
        heapq.heapify(turns)
        while turns:
            _, _, owner = heapq.heappop(turns)
            line = lines[owner]
            yield line.popleft().id
            clock += 1
            last[owner] = clock
            if line:
                heapq.heappush(turns, (clock, line[0].position, owner))
