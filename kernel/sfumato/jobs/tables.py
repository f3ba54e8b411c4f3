"""The tables of jobs. Moments are seconds since 1970; order comes from numbers, never from a clock."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself in an INTEGER alone

JOBS = Table(
    "jobs",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(200), nullable=False),
    Column("label", Text, nullable=False, default=""),
    Column("owner", String(200), nullable=False),
    Column("key", String(500)),
    Column("state", String(20), nullable=False),
    Column("lane", String(20), nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("position", _Number, nullable=False),
    Column("request", JSON, nullable=False),
    Column("output_folder", Text),
    Column("result", JSON(none_as_null=True)),
    Column("problem", JSON(none_as_null=True)),
    Column("progress", JSON(none_as_null=True)),
    Column("warnings", JSON(none_as_null=True)),
    Column("attempt", Integer, nullable=False, default=0),
    Column("control", String(20), nullable=False, default=""),  # "cancel", "skip" or "interrupt"
    Column("place", String(40), nullable=False, default=""),  # whose lock guards it while it runs
    Column("worker", String(40), nullable=False, default=""),  # which process has it
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    UniqueConstraint("owner", "key"),
    Index("jobs_in_turn", "state", "lane", "priority", "position"),
    Index("jobs_by_end", "ended"),
    sqlite_autoincrement=True,
)

IMAGES = Table(
    "job_images",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("job", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("saved", Boolean, nullable=False),  # False: about to appear
    Column("record", JSON, nullable=False),
    UniqueConstraint("job", "path"),
)

EVENTS = Table(
    "job_events",
    METADATA,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("job", String(32), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("data", JSON, nullable=False),
    Index("job_events_of", "job", "seq"),
    sqlite_autoincrement=True,
)

PREVIEWS = Table(
    "job_previews",
    METADATA,
    Column("job", String(32), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("pictures", LargeBinary, nullable=False),  # see `sfumato.jobs.previews`
)

TURNS = Table(
    "queue_users",
    METADATA,
    Column("lane", String(20), primary_key=True),
    Column("owner", String(200), primary_key=True),
    Column("served", _Number, nullable=False),  # counts over all users: the lowest waited longest
)

WORKERS = Table(
    "workers",
    METADATA,
    Column("place", String(40), primary_key=True),
    Column("lane", String(20), primary_key=True),
    Column("process", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("memory", BigInteger, nullable=False, default=0),
    Column("job", String(32), nullable=False, default=""),
)
