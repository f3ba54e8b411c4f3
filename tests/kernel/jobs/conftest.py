"""A plugin whose work is quick and saves files, studios with a folder of their own, and databases."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from sfumato.database import Database
from sfumato.settings import Settings
from sfumato.studio import Studio

from ..conftest import InstallPlugin

PLUGIN = Path(__file__).with_name("drawing_plugin.py")
POSTGRESQL = Path("/usr/lib/postgresql/15/bin")

NewStudio = Callable[..., Studio]


@pytest.fixture
def settings_file(tmp_path: Path, install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a studio whose only plugin is ours, in this process and in those it starts."""
    module = install_plugin("drawing", PLUGIN.read_text("utf-8"))
    others = sorted({point.name for point in entry_points(group="sfumato")} - {"drawing"})
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[general]\ndata_folder = "{tmp_path / "data"}"\noutput_folder = "{tmp_path / "out"}"\n'
        f"[plugins]\ndisabled = {others}\n",
        "utf-8",
    )
    monkeypatch.setenv("SFUMATO_CONFIG", str(file))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    assert module == "drawing_dist"
    return file


@pytest.fixture
def new_studio(settings_file: Path) -> Iterator[NewStudio]:
    """Makes studios of the folder; settings as keywords, as in ``jobs_attempts="2"``."""
    made: list[Studio] = []

    def make(**overrides: str) -> Studio:
        keys = {name.replace("_", ".", 1): value for name, value in overrides.items()}
        studio = Studio(Settings.load(file=settings_file, overrides=keys))
        made.append(studio)
        return studio

    yield make
    for studio in made:
        studio.workers.stop(patience=5)
        studio.jobs.close()
        studio.database.close()


@pytest.fixture
def studio(new_studio: NewStudio) -> Studio:
    return new_studio()


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


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        database = Database.in_folder(tmp_path / "database")
    else:
        database = Database(request.getfixturevalue("postgresql"))
        with database.writing() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
    yield database
    database.close()
