"""A PostgreSQL server of our own, for the tests of all that keeps something in the studio's database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfumato.database import Database

POSTGRESQL = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, where its programs are installed and may be started."""
    if not POSTGRESQL.is_dir():
        pytest.skip("PostgreSQL is not installed")
    as_user = []
    if os.name == "posix" and os.getuid() == 0:
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL does not run as root")
        as_user = ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="sfumato-pg-"))
    try:
        if as_user:
            shutil.chown(folder, "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data = folder / "data"
        begin = [*as_user, str(POSTGRESQL / "initdb"), "-A", "trust", "-U", "sfumato", "-D", str(data), "-N"]
        control = [*as_user, str(POSTGRESQL / "pg_ctl"), "-D", str(data), "-w"]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        try:
            subprocess.run(begin, check=True, capture_output=True, cwd="/")
            start = [*control, "-l", str(folder / "log"), "-o", options, "start"]
            subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        except (subprocess.CalledProcessError, OSError) as error:
            pytest.skip(f"PostgreSQL cannot be started: {error}")
        try:
            yield f"postgresql+psycopg://sfumato@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def emptied(url: str) -> Database:
    """The server's database without any table."""
    database = Database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return database
