"""The database as a file that may be damaged, closed, full, older or newer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from sfumato.database import Database
from sfumato.errors import SfumatoError
from sfumato.studio import Studio


def people(version: int = 1, *more: str) -> Table:
    """A table that gained columns."""
    columns = [Column(name, String(20)) for name in more]
    id_column = Column("id", Integer, primary_key=True)
    return Table("people", MetaData(), id_column, *columns, info={"version": version})


def test_columns_that_a_later_version_adds_are_made_and_rows_stay(database: Database) -> None:
    old, new = people(), people(2, "name", "order")
    database.create(old.metadata)
    with database.writing() as connection:
        connection.execute(insert(old).values(id=1))
    for _ in range(2):
        database.create(new.metadata)
    with database.writing() as connection:
        connection.execute(insert(new).values(id=2, name="Ann", order="first"))
        rows = [tuple(row) for row in connection.execute(select(new).order_by(new.c.id))]
    assert rows == [(1, None, None), (2, "Ann", "first")]


def test_tables_of_a_newer_version_are_not_touched(database: Database) -> None:
    database.create(people(3, "name").metadata)
    with pytest.raises(SfumatoError, match="newer Sfumato") as caught:
        database.create(people(2).metadata)
    assert "version 3" in caught.value.why


def test_a_database_of_before_versions_were_kept_gains_its_columns(database: Database) -> None:
    with database.writing() as connection:
        people().metadata.create_all(connection)
    database.create(people(1, "name").metadata)
    with database.reading() as connection:
        assert connection.execute(select(people(1, "name"))).all() == []


@pytest.mark.parametrize("head", [b"", b"SQLite format 3\0"])
def test_a_damaged_file_is_refused_and_left_as_it_is(studio: Studio, tmp_path: Path, head: bytes) -> None:
    file = tmp_path / "data" / "studio.db"
    file.parent.mkdir()
    file.write_bytes(damaged := head + b"\xa5no database " * 500)
    with pytest.raises(SfumatoError, match="cannot be used") as caught:
        studio.jobs.list()
    assert "recover" in caught.value.hint
    assert str(file) in caught.value.what
    assert file.read_bytes() == damaged


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SfumatoError, match="cannot be used") as caught:
        Database.in_folder(tmp_path / "data").create(people().metadata)
    assert "general.data_folder" in caught.value.hint


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SfumatoError, match="cannot be used") as caught:
            Database.in_folder(tmp_path).create(people().metadata)
        assert "writable" in caught.value.hint
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="needs limits of a process")
def test_a_job_that_a_full_disk_does_not_take_is_refused_in_words(studio: Studio, tmp_path: Path) -> None:
    import resource

    kept = studio.jobs.submit("draw", {})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = tmp_path / "data" / "studio.db-wal"
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size, limits[1]))
    try:
        with pytest.raises(SfumatoError, match="cannot be used"):
            studio.jobs.submit("draw", {"name": "two" * 10000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [job.id for job in studio.jobs.list()] == [kept.id]


def test_room_of_what_was_deleted_goes_back_to_the_disk(tmp_path: Path) -> None:
    database = Database.in_folder(tmp_path)
    table = people(1, "name")
    database.create(table.metadata)
    with database.writing() as connection:
        connection.execute(insert(table), [{"name": "x" * 1000} for _ in range(2000)])
    with database.writing() as connection:
        connection.execute(table.delete())
    size = (tmp_path / "studio.db").stat().st_size
    database.shrink()
    database.close()
    assert (tmp_path / "studio.db").stat().st_size < size / 10
