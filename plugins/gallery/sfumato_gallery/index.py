"""The index of pictures: what is put into it, what people change, and finding pictures in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sfumato.errors import BadInput
from sfumato_gallery import tables
from sfumato_gallery.filters import Filters, Sort, conditions, holding_words, in_folder
from sfumato_gallery.records import PictureFacts, Suggestions, picture_id
from sfumato_gallery.tables import LORAS, PICTURES, STATE
from sfumato_gallery.words import searchable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sfumato.database import Database

Found = Row[Any]
"""A row of `tables.PICTURES`."""

_KEPT = ("number", "id", "created", "favourite", "score", "job", "index_in_job")
"""What reading a file anew does not change."""
_MOST_PARAMETERS = 500
_SCORELESS = -1.0
_MANY = 2000


class PictureIndex:
    """Safe to use from many threads and processes.

    Args:
        database: The studio's; tables are made when the index is first used.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @cached_property
    def full_text(self) -> bool:
        """Whether words are found by an index; where not, every row is looked at."""
        return tables.create(self.database)

    # Filling

    def put(self, pictures: Sequence[PictureFacts], state: Mapping[str, str] | None = None) -> int:
        """Take pictures in, or what their files tell now; favourites and scores stay.

        Args:
            state: Kept in the same transaction, see `state`.

        Returns:
            How many were new.
        """
        _ = self.full_text
        with self.database.writing() as connection:
            known = _known(connection, [picture_id(facts.path) for facts in pictures])
            self._put(connection, {picture_id(facts.path): facts for facts in pictures})
            for key, value in (state or {}).items():
                self._set_state(connection, key, value)
        return len({picture_id(facts.path) for facts in pictures} - known)

    def _put(self, connection: Connection, pictures: Mapping[str, PictureFacts]) -> None:
        if not pictures:
            return
        insert = (sqlite if self._is_sqlite else postgresql).insert(PICTURES)
        values = [_values(facts) for facts in pictures.values()]
        new = insert.excluded
        changed = {name: new[name] for name in values[0] if name not in _KEPT}
        changed["job"] = case((new.job != "", new.job), else_=PICTURES.c.job)
        changed["index_in_job"] = func.coalesce(new.index_in_job, PICTURES.c.index_in_job)
        connection.execute(insert.on_conflict_do_update(index_elements=[PICTURES.c.id], set_=changed), values)
        names: list[dict[str, Any]] = []
        for some in _portions(list(pictures)):
            query = select(PICTURES.c.number, PICTURES.c.id).where(PICTURES.c.id.in_(some))
            numbers = {row.id: row.number for row in connection.execute(query)}
            connection.execute(delete(LORAS).where(LORAS.c.picture.in_(numbers.values())))
            names += (
                {"picture": number, "name": name}
                for id, number in numbers.items()
                for name in dict.fromkeys(pictures[id].loras)
            )
        if names:
            connection.execute(LORAS.insert(), names)

    def states_below(self, folder: Path) -> dict[str, tuple[str, float, int, bool]]:
        """Path, modification, size and whether it is missing, by id, of all pictures in a folder or below."""
        _ = self.full_text
        columns = PICTURES.c
        query = select(columns.id, columns.path, columns.modified, columns.size, columns.missing)
        query = query.where(in_folder(str(folder)))
        with self.database.reading() as connection:
            return {
                row.id: (row.path, row.modified, row.size, row.missing) for row in connection.execute(query)
            }

    def mark_missing(self, ids: Iterable[str]) -> None:
        for some in _portions(list(ids)):
            self._update(PICTURES.c.id.in_(some), missing=True)

    def adopt(self, missing: Iterable[str]) -> None:
        """Favourite and score of files that are gone go over to files with the same name, size and time."""
        columns = PICTURES.c
        for some in _portions(list(missing)):
            with self.database.writing() as connection:
                loved = or_(columns.favourite, columns.score.isnot(None))
                for row in connection.execute(select(PICTURES).where(columns.id.in_(some), loved)).all():
                    connection.execute(
                        update(PICTURES)
                        .where(
                            columns.name == row.name,
                            columns.size == row.size,
                            columns.modified == row.modified,
                            columns.missing.is_(False),
                        )
                        .values(favourite=row.favourite, score=row.score)
                    )

    # Changing

    def change(self, ids: Sequence[str], **values: Any) -> int:
        """Set columns of pictures; how many there were."""
        return sum(self._update(PICTURES.c.id.in_(some), **values) for some in _portions(ids))

    def move(self, row: Found, path: Path, **values: Any) -> None:
        """The picture lies somewhere else from now on, under another id."""
        place = {"id": picture_id(path), "path": str(path), "folder": str(path.parent), "name": path.name}
        with self.database.writing() as connection:
            connection.execute(
                delete(PICTURES).where(PICTURES.c.id == place["id"], PICTURES.c.number != row.number)
            )
            connection.execute(
                update(PICTURES).where(PICTURES.c.number == row.number).values(**place, **values)
            )

    def forget(self, ids: Sequence[str]) -> None:
        for some in _portions(ids):
            with self.database.writing() as connection:
                connection.execute(delete(PICTURES).where(PICTURES.c.id.in_(some)))

    def _update(self, condition: ColumnElement[bool], **values: Any) -> int:
        _ = self.full_text
        with self.database.writing() as connection:
            return connection.execute(update(PICTURES).where(condition).values(**values)).rowcount

    # Finding

    def get(self, id: str) -> Found | None:
        """A picture by its id, or by the one that it had before it was thrown away."""
        _ = self.full_text
        columns = PICTURES.c
        query = (
            select(PICTURES)
            .where(or_(columns.id == id, columns.original_id == id))
            .order_by(case((columns.id == id, 0), else_=1), columns.trashed.desc())
            .limit(1)
        )
        with self.database.reading() as connection:
            return connection.execute(query).first()

    def get_all(self, ids: Sequence[str]) -> list[Found]:
        """Those that there are, in the order of the ids."""
        _ = self.full_text
        found: dict[str, Found] = {}
        with self.database.reading() as connection:
            for some in _portions(ids):
                found |= {
                    row.id: row for row in connection.execute(select(PICTURES).where(PICTURES.c.id.in_(some)))
                }
        return [found[id] for id in ids if id in found]

    def find(
        self,
        filters: Filters,
        *,
        sort: Sort = "newest",
        cursor: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Found]:
        """Pictures in order; new pictures do not shift what comes behind a cursor.

        Raises `BadInput` for a search or a cursor that cannot be.
        """
        order = _ORDERS[sort]
        with self.database.reading() as connection:
            many = sort in ("newest", "oldest") and self._hold_many(connection, filters)
            query = select(PICTURES).where(conditions(filters, full_text=self.full_text, row_by_row=many))
            if cursor:
                query = query.where(_behind(order, _read_cursor(cursor, sort)))
            return list(connection.execute(query.order_by(*order.by).limit(limit).offset(offset)))

    def _hold_many(self, connection: Connection, filters: Filters) -> bool:
        """Whether so many rows hold the words that the first ones are found sooner in the index by date."""
        holding = holding_words(filters) if self.full_text else None
        if holding is None:
            return False
        some = holding.limit(_MANY).subquery()
        return connection.execute(select(func.count()).select_from(some)).scalar_one() == _MANY

    def shapes(self, filters: Filters, *, sort: Sort = "newest") -> list[int]:
        """Width by height in hundredths of all pictures of a list, in its order."""
        ratio = 100 * PICTURES.c.width // func.nullif(PICTURES.c.height, 0)
        query = select(func.coalesce(ratio, 100)).where(conditions(filters, full_text=self.full_text))
        with self.database.reading() as connection:
            return list(connection.execute(query.order_by(*_ORDERS[sort].by)).scalars())

    def count(self, filters: Filters) -> int:
        query = select(func.count()).select_from(PICTURES)
        query = query.where(conditions(filters, full_text=self.full_text))
        with self.database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def loras(self, numbers: Sequence[int]) -> dict[int, list[str]]:
        """Names of LoRAs by the number of the picture."""
        found: dict[int, list[str]] = {}
        with self.database.reading() as connection:
            for some in _portions(numbers):
                query = select(LORAS).where(LORAS.c.picture.in_(some)).order_by(LORAS.c.name)
                for row in connection.execute(query):
                    found.setdefault(row.picture, []).append(row.name)
        return found

    def suggestions(self, most: int = 50) -> Suggestions:
        """What searches may name, the most frequent first."""
        _ = self.full_text
        columns = PICTURES.c
        shown = and_(columns.trashed.is_(None), columns.missing.is_(False))
        with self.database.reading() as connection:

            def frequent(column: Any, source: Any = PICTURES) -> list[str]:
                query = select(column).select_from(source).where(shown, column != "").group_by(column)
                return list(
                    connection.execute(query.order_by(func.count().desc(), column).limit(most)).scalars()
                )

            return Suggestions(
                models=frequent(columns.model),
                loras=frequent(LORAS.c.name, LORAS.join(PICTURES)),
                samplers=frequent(columns.sampler),
                folders=frequent(columns.folder),
            )

    # What the gallery remembers of its own work

    def state(self, key: str) -> str | None:
        _ = self.full_text
        with self.database.reading() as connection:
            return connection.execute(select(STATE.c.value).where(STATE.c.key == key)).scalar()

    def set_state(self, key: str, value: str) -> None:
        self.put((), {key: value})

    def _set_state(self, connection: Connection, key: str, value: str) -> None:
        insert = (sqlite if self._is_sqlite else postgresql).insert(STATE).values(key=key, value=value)
        connection.execute(insert.on_conflict_do_update(index_elements=[STATE.c.key], set_={"value": value}))

    @property
    def _is_sqlite(self) -> bool:
        return self.database.engine.dialect.name == "sqlite"


class _Order:
    """An order with the columns that a cursor holds, all ascending or all descending."""

    def __init__(self, *columns: ColumnElement[Any], names: tuple[str, ...], descending: bool) -> None:
        self.columns = columns
        self.names = names
        self.descending = descending

    @property
    def by(self) -> Iterator[ColumnElement[Any]]:
        return (column.desc() if self.descending else column.asc() for column in self.columns)


_DATE = (PICTURES.c.created, PICTURES.c.number)
_ORDERS: Mapping[Sort, _Order] = {
    "newest": _Order(*_DATE, names=("created", "number"), descending=True),
    "oldest": _Order(*_DATE, names=("created", "number"), descending=False),
    "name": _Order(PICTURES.c.name, *_DATE, names=("name", "created", "number"), descending=False),
    "score": _Order(
        func.coalesce(PICTURES.c.score, _SCORELESS),
        *_DATE,
        names=("score", "created", "number"),
        descending=True,
    ),
}


def _behind(order: _Order, values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows after the one with these values, in an order without ties."""
    ways: list[ColumnElement[bool]] = []
    for position, (column, value) in enumerate(zip(order.columns, values, strict=True)):
        beyond = column < value if order.descending else column > value
        same = (
            before == known for before, known in zip(order.columns[:position], values[:position], strict=True)
        )
        ways.append(and_(*same, beyond))
    return or_(*ways)


def cursor_of(row: Found, sort: Sort) -> str:
    """The place in a list right behind a picture."""
    values = [getattr(row, name) for name in _ORDERS[sort].names]
    values = [_SCORELESS if value is None else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([sort, *values]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: Sort) -> list[Any]:
    try:
        made_for, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        kinds = [str if name == "name" else (int, float) for name in _ORDERS[sort].names]
        right = made_for == sort and len(values) == len(kinds)
        if right and all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)):
            return values
    except (ValueError, TypeError):
        pass
    raise BadInput("The cursor is none of this list.", hint="Begin without one; take 'next' as it came.")


def _values(facts: PictureFacts) -> dict[str, Any]:
    texts = (facts.prompt, facts.negative_prompt, facts.model, *facts.loras, facts.path.stem)
    values = facts.model_dump(exclude={"loras"}) | {
        "id": picture_id(facts.path),
        "path": str(facts.path),
        "folder": str(facts.path.parent),
        "name": facts.path.name,
        "created": facts.modified,
        "words": searchable(texts),
        "missing": False,
    }
    return {
        key: value.replace("\0", "") if isinstance(value, str) else value for key, value in values.items()
    }


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    return {
        id
        for some in _portions(ids)
        for id in connection.execute(select(PICTURES.c.id).where(PICTURES.c.id.in_(some))).scalars()
    }


def _portions(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Few enough for one statement."""
    return (values[start : start + _MOST_PARAMETERS] for start in range(0, len(values), _MOST_PARAMETERS))
