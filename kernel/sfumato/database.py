"""The studio's database: SQLite in the data folder, or what the settings name. SQLAlchemy Core, no ORM.

SQLAlchemy is imported when the database is first used: a program that only asks for help must not pay for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import SfumatoError

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Engine, MetaData, Table

    from sfumato.settings import Settings

BUSY_SECONDS = 30.0
"""How long a writer waits for another process that writes."""

LONGEST_JOURNAL = 16 * 2**20
"""Bytes to which SQLite's journal is cut when it can be."""

TURN = 0x5F0A70
"""PostgreSQL's number of the lock that writers take one after the other."""


class Database:
    """One database, shared by threads and processes.

    Args:
        url: An SQLAlchemy URL, such as "sqlite:////home/me/studio.db" or "postgresql+psycopg://...".
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: list[MetaData] = []
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> Database:
        """The studio's: what the settings name, or a file in the data folder."""
        url = settings.jobs.database
        return cls(url) if url else cls.in_folder(settings.general.data_folder)

    @classmethod
    def in_folder(cls, folder: Path) -> Database:
        """A SQLite file "studio.db"; the folder is made when the database is first used."""
        return cls(f"sqlite:///{folder / 'studio.db'}")

    @cached_property
    def engine(self) -> Engine:
        """Raises `SfumatoError` when the URL is wrong or its driver is missing."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        try:
            url = make_url(self.url)
            if url.get_backend_name() != "sqlite":
                return create_engine(url, pool_pre_ping=True)
            if url.database:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
        except OSError as error:
            raise explained(error, self.url) from error
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise SfumatoError(
                "The database cannot be opened.",
                why=f"{error}.",
                hint="Check the setting jobs.database, and install the driver that it names.",
            ) from error
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_now)
        return engine

    def create(self, tables: MetaData) -> None:
        """Make the tables and columns that are missing; called before their first use, and cheap after it.

        A table that gains columns, which may be null, counts up its version: ``info={"version": 2}``.

        Raises:
            SfumatoError: the database cannot be used, or a newer Sfumato has changed its tables.
        """
        from sqlalchemy.exc import DatabaseError

        with self._lock:
            if any(made is tables for made in self._made):
                return
            try:
                with self.writing() as connection:
                    self.take_turn(connection)
                    bring_up_to_date(connection, tables)
            except DatabaseError as error:
                raise explained(error, self.url) from error
            self._made.append(tables)

    def shrink(self) -> None:
        """Give back to the disk what was deleted."""
        if self.engine.dialect.name != "sqlite":
            return  # others do so by themselves
        connection = self.engine.raw_connection()
        try:
            connection.cursor().executescript("PRAGMA incremental_vacuum")  # `execute` frees one page
        finally:
            connection.close()

    def take_turn(self, connection: Connection) -> None:
        """Within this transaction nobody else's that takes its turn writes: their numbers come in order.

        In SQLite every transaction that writes has it anyway.
        """
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, or rolled back by an exception."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and holds nobody up."""
        with self.engine.connect().execution_options(sfumato_reads=True) as connection:
            yield connection

    def close(self) -> None:
        if "engine" in self.__dict__:
            self.engine.dispose()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers beside one writer; a crash of the program loses nothing, a power cut perhaps a moment."""
    connection.isolation_level = None  # transactions are begun by us
    cursor = connection.cursor()
    cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file, see `Database.shrink`
    _use_journal(cursor)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", f"journal_size_limit={LONGEST_JOURNAL}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_journal(cursor: Any) -> None:
    """Two processes that open a new file at once hold each other up here, and SQLite does not wait."""
    import sqlite3

    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _begin_now(connection: Connection) -> None:
    """Writers take the lock at once: two that read before they write would fail each other."""
    reads = connection.get_execution_options().get("sfumato_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def bring_up_to_date(connection: Connection, tables: MetaData) -> None:
    """Make what is missing. Raises `SfumatoError` for tables of a newer version than is known."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, delete, insert, inspect, select

    versions = Table(
        "table_versions",
        MetaData(),
        Column("name", String(100), primary_key=True),
        Column("version", Integer, nullable=False),
    )
    versions.create(connection, checkfirst=True)
    tables.create_all(connection)
    known = {row.name: row.version for row in connection.execute(select(versions))}
    for table in tables.sorted_tables:
        version, there = table.info.get("version", 1), known.get(table.name, 0)
        if there > version:
            raise SfumatoError(
                "The database is of a newer Sfumato.",
                why=f"Its table '{table.name}' has version {there}; this Sfumato knows version {version}.",
                hint="Install the newer one again, or choose a folder by general.data_folder.",
            )
        if there == version:
            continue
        columns = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                _add(connection, table, column)
        connection.execute(delete(versions).where(versions.c.name == table.name))
        connection.execute(insert(versions).values(name=table.name, version=version))


def _add(connection: Connection, table: Table, column: Column[Any]) -> None:
    from sqlalchemy.schema import CreateColumn

    name = connection.dialect.identifier_preparer.format_table(table)
    described = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {described}")


def explained(error: Exception, url: str) -> SfumatoError:
    """A database's error for people: what is wrong, and what can be done; nothing is ever deleted."""
    told = " ".join(str(getattr(error, "orig", error)).split())
    hints = (hint for signs, hint in ADVICE if any(sign in told.lower() for sign in signs))
    place = url.partition(":///")[2] if url.startswith("sqlite") else "of the setting jobs.database"
    return SfumatoError(
        f"The database {place} cannot be used.", why=f"{told}.", hint=next(hints, "Is it still there?")
    )


ADVICE = (
    (
        ("not a database", "malformed"),
        "Nothing was changed. Mend a copy with 'sqlite3 FILE .recover', or move the file away to begin anew.",
    ),
    (
        ("readonly", "read-only", "permission", "unable to open", "not a directory", "file exists"),
        "Make the folder and its files writable, or choose another: --set general.data_folder=FOLDER.",
    ),
    (("full",), "Make room on the disk."),
    (("locked",), "Another program holds it: close that one, or try again."),
)
"""What can be done, by words of the error."""
