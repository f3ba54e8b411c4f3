"""The gallery's tables in the studio's database, and the full-text index of SQLite beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
)
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sfumato.database import Database

METADATA = MetaData()
_COUNTER = BigInteger().with_variant(Integer, "sqlite")

PICTURES = Table(
    "gallery_pictures",
    METADATA,
    Column("number", _COUNTER, primary_key=True, autoincrement=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("folder", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("modified", Float(53), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("seed", BigInteger),
    Column("steps", Integer),
    Column("cfg", Float(53)),
    Column("sampler", Text, nullable=False, default=""),
    Column("model", Text, nullable=False, default="", index=True),
    Column("prompt", Text, nullable=False, default=""),
    Column("negative_prompt", Text, nullable=False, default=""),
    Column("infotext", Text, nullable=False, default=""),
    Column("words", Text, nullable=False, default=""),
    Column("job", String(64), nullable=False, default="", index=True),
    Column("index_in_job", Integer),
    Column("favourite", Boolean, nullable=False, default=False),
    Column("score", Float(53)),
    Column("trashed", Float(53)),
    Column("original", Text),  # where a picture in the trash came from
    Column("original_id", String(16), index=True),
    Column("missing", Boolean, nullable=False, default=False),
    sqlite_autoincrement=True,  # a number is never given twice: cursors hold them
)
Index("gallery_pictures_by_date", PICTURES.c.created, PICTURES.c.number)

LORAS = Table(
    "gallery_loras",
    METADATA,
    Column("picture", _COUNTER, ForeignKey(PICTURES.c.number, ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
)
Index("gallery_loras_by_name", LORAS.c.name)

STATE = Table(
    "gallery_state",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

FULL_TEXT = "gallery_words"
_FULL_TEXT_SCHEMA = (
    f"""CREATE VIRTUAL TABLE {FULL_TEXT} USING fts5(
        words, content='gallery_pictures', content_rowid='number',
        tokenize='unicode61 remove_diacritics 0', prefix='1 2 3')""",
    f"""CREATE TRIGGER gallery_words_added AFTER INSERT ON gallery_pictures BEGIN
        INSERT INTO {FULL_TEXT}(rowid, words) VALUES (new.number, new.words); END""",
    f"""CREATE TRIGGER gallery_words_removed AFTER DELETE ON gallery_pictures BEGIN
        INSERT INTO {FULL_TEXT}({FULL_TEXT}, rowid, words) VALUES ('delete', old.number, old.words); END""",
    f"""CREATE TRIGGER gallery_words_changed AFTER UPDATE OF words ON gallery_pictures
        WHEN old.words <> new.words BEGIN
        INSERT INTO {FULL_TEXT}({FULL_TEXT}, rowid, words) VALUES ('delete', old.number, old.words);
        INSERT INTO {FULL_TEXT}(rowid, words) VALUES (new.number, new.words); END""",
    f"INSERT INTO {FULL_TEXT}({FULL_TEXT}) VALUES ('rebuild')",
)
"""SQLite's FTS5 with external content (https://sqlite.org/fts5.html, section 4.4.3)."""


def create(database: Database) -> bool:
    """Make the tables that are missing; whether this database has the full-text index."""
    database.create(METADATA)
    if database.engine.dialect.name != "sqlite":
        return False
    with database.reading() as connection:
        if inspect(connection).has_table(FULL_TEXT):
            return True
    try:
        with database.writing() as connection:
            _add_full_text(connection)
    except OperationalError:  # an SQLite without FTS5: LIKE has to do
        return False
    return True


def _add_full_text(connection: Connection) -> None:
    if not inspect(connection).has_table(FULL_TEXT):  # another process may have been quicker
        for statement in _FULL_TEXT_SCHEMA:
            connection.exec_driver_sql(statement)
