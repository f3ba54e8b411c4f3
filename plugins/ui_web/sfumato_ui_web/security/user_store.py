"""Users, tokens and sessions in the studio's database."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sfumato.errors import BadInput, UnknownName
from sfumato_ui_web.security.passwords import SHORTEST, hash_password, hash_secret, new_token

if TYPE_CHECKING:
    from sqlalchemy import Table

    from sfumato.database import Database

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
SESSION_DAYS = 30
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Tables:
    """Columns are named where they are made."""

    users: Table
    tokens: Table
    sessions: Table


@dataclass(frozen=True)
class KeptSession:
    """A session as it is stored; `credential` is the user's password hash when it began."""

    user: str
    credential: str


class UserStore:
    """Users of one database. A user's name stays; all else about them can change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _tables(self) -> Tables:
        from sqlalchemy import Column, Float, MetaData, String, Table

        metadata = MetaData()
        tables = Tables(
            users=Table(
                "web_users",
                metadata,
                Column("name", String(64), primary_key=True),
                Column("password", String(200), nullable=False),
                Column("created", Float, nullable=False),
            ),
            tokens=Table(
                "web_tokens",
                metadata,
                Column("hash", String(64), primary_key=True),
                Column("user", String(64), nullable=False, index=True),
                Column("label", String(100), nullable=False),
                Column("created", Float, nullable=False),
            ),
            sessions=Table(
                "web_sessions",
                metadata,
                Column("hash", String(64), primary_key=True),
                Column("user", String(64), nullable=False, index=True),
                Column("credential", String(200), nullable=False),
                Column("created", Float, nullable=False),
            ),
        )
        self._database.create(metadata)
        return tables

    def has_users(self) -> bool:
        """Whether there are any. A SQLite file is asked without SQLAlchemy, which takes long to import."""
        if self._database.url.startswith(_SQLITE) and "_tables" not in self.__dict__:
            path = self._database.url.removeprefix(_SQLITE)
            if not Path(path).exists():
                return False
            with contextlib.suppress(sqlite3.Error):
                return _has_users(path)
        return bool(self.names())

    def names(self) -> list[str]:
        users = self._tables.users
        with self._database.reading() as connection:
            return list(connection.execute(users.select().order_by(users.c.name)).scalars())

    def password_of(self, name: str) -> str | None:
        """The stored hash."""
        users = self._tables.users
        with self._database.reading() as connection:
            row = connection.execute(users.select().where(users.c.name == name)).first()
        return None if row is None else str(row.password)

    def set_password(self, name: str, password: str) -> bool:
        """Add a user, or change the password, which ends their sessions; whether they are new.

        Raises:
            BadInput: such a name or password cannot be.
        """
        if not NAME.fullmatch(name) or name.lower() == "local":
            raise BadInput(
                f"A user cannot be named '{name}'.",
                hint="Use up to 64 letters, digits, '.', '_', '@' and '-', beginning with a letter or digit.",
            )
        if len(password) < SHORTEST:
            raise BadInput("The password is too short.", hint=f"Use {SHORTEST} characters or more.")
        users = self._tables.users
        stored = hash_password(password)
        with self._database.writing() as connection:
            changed = connection.execute(
                users.update().where(users.c.name == name).values(password=stored)
            ).rowcount
            if not changed:
                connection.execute(users.insert().values(name=name, password=stored, created=time.time()))
        return not changed

    def remove(self, name: str) -> None:
        """Forget a user with all tokens and sessions. Raises `UnknownName`."""
        tables = self._tables
        self._check_known(name)
        with self._database.writing() as connection:
            connection.execute(tables.users.delete().where(tables.users.c.name == name))
            for table in (tables.tokens, tables.sessions):
                connection.execute(table.delete().where(table.c.user == name))

    def add_token(self, user: str, label: str = "") -> str:
        """A new token, which nobody can read again. Raises `UnknownName`."""
        self._check_known(user)
        token = new_token()
        self._insert(self._tables.tokens, hash=hash_secret(token), user=user, label=label[:100])
        return token

    def remove_tokens(self, user: str) -> int:
        """How many there were. Raises `UnknownName`."""
        self._check_known(user)
        tokens = self._tables.tokens
        with self._database.writing() as connection:
            return int(connection.execute(tokens.delete().where(tokens.c.user == user)).rowcount)

    def token_count(self, user: str) -> int:
        tokens = self._tables.tokens
        with self._database.reading() as connection:
            return len(connection.execute(tokens.select().where(tokens.c.user == user)).all())

    def user_of_token(self, token: str) -> str | None:
        row = self._find(self._tables.tokens, hash_secret(token))
        return None if row is None else str(row.user)

    def add_session(self, identifier: str, user: str, credential: str) -> None:
        """Keep a session, and forget those that are over."""
        sessions = self._tables.sessions
        with self._database.writing() as connection:
            connection.execute(sessions.delete().where(sessions.c.created < _oldest()))
        self._insert(sessions, hash=hash_secret(identifier), user=user, credential=credential)

    def session(self, identifier: str) -> KeptSession | None:
        row = self._find(self._tables.sessions, hash_secret(identifier))
        if row is None or row.created < _oldest():
            return None
        return KeptSession(str(row.user), str(row.credential))

    def remove_session(self, identifier: str) -> None:
        sessions = self._tables.sessions
        with self._database.writing() as connection:
            connection.execute(sessions.delete().where(sessions.c.hash == hash_secret(identifier)))

    def _check_known(self, name: str) -> None:
        names = self.names()
        if name not in names:
            raise UnknownName("user", name, names)

    def _insert(self, table: Table, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(table.insert().values(created=time.time(), **values))

    def _find(self, table: Table, hashed: str) -> Any:
        with self._database.reading() as connection:
            return connection.execute(table.select().where(table.c.hash == hashed)).first()


def _oldest() -> float:
    return time.time() - SESSION_DAYS * 86400


def _has_users(path: str) -> bool:
    with _read_only(path) as connection:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'web_users'").fetchone()
        return known is not None and connection.execute("SELECT 1 FROM web_users").fetchone() is not None


@contextlib.contextmanager
def _read_only(path: str) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=5)
    ) as connection:
        yield connection
