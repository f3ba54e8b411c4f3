"""/settings, /plugins, /workers, /memory, and what answers at /api/v1 itself."""

from __future__ import annotations

import dataclasses
import json
import time
from datetime import datetime
from importlib.metadata import version
from typing import Any, Literal, get_args

from pydantic import Field

from sfumato.errors import UnknownName
from sfumato.machine import machine_memory
from sfumato.memory import MemorySnapshot
from sfumato.memory_log import MemoryLog
from sfumato.plugins import PluginRecord
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.tasks import Lane
from sfumato_ui_web.api.cursors import listing
from sfumato_ui_web.api.endpoints import Answer, Message, Refusal, endpoint
from sfumato_ui_web.api.owners import current_user, is_local, owner
from sfumato_ui_web.setting_rules import extra_of, is_guarded, is_secret

ABOUT, SETTINGS, PLUGINS, SYSTEM = ("About",), ("Settings",), ("Plugins",), ("System",)
DISABLED_KEY = "plugins.disabled"
OWN_PLUGIN = "ui_web"


class Index(Answer):
    """Who answers, and whom it takes one for."""

    name: str
    version: str
    user: str = Field(description="'local' where nobody has to log in.")
    openapi: str
    docs: str


class SettingAnswer(Answer):
    """A setting, and where its value comes from."""

    key: str
    section: str
    title: str
    description: str
    value: Any = Field(description="In force; null for a secret.")
    default: Any
    allowed: str = Field(description="What it takes, in words.")
    json_schema: dict[str, Any] = Field(description="What it takes, as JSON schema.")
    origin: Literal["default", "file", "environment", "command line"]
    detail: str = Field(description="The file, variable or option that gives it.")
    secret: bool
    is_set: bool = Field(description="Whether a secret has a value.")
    writable: bool = Field(description="Whether the one who asks may change it.")


class SettingList(Answer):
    """All settings by section."""

    items: tuple[SettingAnswer, ...]
    next: None = None


class Value(Message):
    """A new value."""

    value: Any = Field(description="As JSON has it; text is read as on the command line.")


class PluginAnswer(Answer):
    """An installed plugin."""

    name: str
    state: str = Field(description="'active', 'disabled' or 'quarantined'.")
    distribution: str
    version: str
    hooks: tuple[str, ...]
    load_seconds: float
    stage: str = Field(description="Where a quarantined one failed.")
    problem: str
    traceback: str
    advice: str
    replaces: tuple[str, ...]
    enabled: bool = Field(description="Whether it is loaded at the next start.")
    needs_restart: bool = Field(description="Whether that is otherwise than now.")


class PluginList(Answer):
    """The installed plugins."""

    items: tuple[PluginAnswer, ...]
    next: None = None


class WorkerAnswer(Answer):
    """A lane's worker process."""

    lane: str
    state: str = Field(description="'starting', 'idle', 'busy', 'restarting' or 'stopped'.")
    process: int | None
    since: datetime | None
    heartbeat: datetime | None
    job: str
    restarts: int
    problem: str


class WorkerList(Answer):
    """The worker processes."""

    items: tuple[WorkerAnswer, ...]
    next: None = None


class RestartQuery(Message):
    """When a worker is restarted."""

    now: bool = Field(
        default=False,
        description="Not once its job is over: the job is stopped, and begun again by the new worker.",
    )


class MemoryQuery(Message):
    """Which samples."""

    since: float | None = Field(
        default=None, ge=0, le=1e11, description="Seconds since 1970; by default the last half hour."
    )
    most: int = Field(default=300, ge=2, le=2000, description="No more samples than about so many.")


class MemoryAnswer(Answer):
    """Memory over time, in bytes."""

    items: tuple[MemorySnapshot, ...]
    next: None = None
    now: float
    total: int
    available: int


class Administration:
    """The studio itself."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @endpoint("GET", "/", answer=Index, summary="Who answers", tags=ABOUT)
    def index(self) -> Index:
        home = "/api/v1"
        return Index(
            name="Sfumato",
            version=version("sfumato-kernel"),
            user=current_user(),
            openapi=f"{home}/openapi.json",
            docs=f"{home}/docs",
        )

    @endpoint("GET", "/settings", answer=SettingList, summary="All settings", tags=SETTINGS)
    def settings(self) -> dict[str, Any]:
        """As the file and the environment give them now; the server takes some up when it starts again."""
        settings = self._studio.settings.read_again()
        return listing([_setting(settings, key) for key in settings.keys()])  # noqa: SIM118

    @endpoint("GET", "/settings/<key>", answer=SettingAnswer, summary="One setting", tags=SETTINGS)
    def setting(self, key: str) -> dict[str, Any]:
        return _setting(self._studio.settings.read_again(), key)

    @endpoint(
        "PUT",
        "/settings/<key>",
        body=Value,
        answer=SettingAnswer,
        errors=(403,),
        summary="Change a setting",
        tags=SETTINGS,
    )
    def put_setting(self, key: str, body: Value) -> dict[str, Any]:
        """Written to the settings file. Paths, and what guards the server, change on its machine alone."""
        self._check_writable(key)
        return _setting(self._studio.settings.write(key, _as_text(body.value)), key)

    @endpoint(
        "DELETE",
        "/settings/<key>",
        answer=SettingAnswer,
        errors=(403,),
        summary="Unset a setting",
        tags=SETTINGS,
    )
    def unset_setting(self, key: str) -> dict[str, Any]:
        """Taken out of the settings file, so that the default holds again."""
        self._check_writable(key)
        settings = self._studio.settings.read_again()
        return _setting(settings.unset(key) if settings.where(key).source == "file" else settings, key)

    def _check_writable(self, key: str) -> None:
        if not _is_writable(self._studio.settings, key):
            raise Refusal(
                403,
                f"The setting '{key}' is changed on the studio's own machine alone.",
                hint=f"There: sfumato settings set {key} VALUE",
            )

    @endpoint("GET", "/plugins", answer=PluginList, summary="Installed plugins", tags=PLUGINS)
    def plugins(self) -> dict[str, Any]:
        return listing([self._plugin(record) for record in self._studio.plugins])

    @endpoint(
        "POST",
        "/plugins/<name>/enable",
        answer=PluginAnswer,
        errors=(403,),
        summary="Switch a plugin on",
        tags=PLUGINS,
    )
    def enable(self, name: str) -> dict[str, Any]:
        """From the next start on; on the studio's machine alone, as with settings that guard the server."""
        return self._switch(name, enabled=True)

    @endpoint(
        "POST",
        "/plugins/<name>/disable",
        answer=PluginAnswer,
        errors=(403, 409),
        summary="Switch a plugin off",
        tags=PLUGINS,
    )
    def disable(self, name: str) -> dict[str, Any]:
        """From the next start on; there alone, too. The web interface cannot switch itself off."""
        if name == OWN_PLUGIN:
            raise Refusal(409, "The web interface cannot switch itself off.", hint="Stop the server.")
        return self._switch(name, enabled=False)

    def _switch(self, name: str, *, enabled: bool) -> dict[str, Any]:
        record = self._studio.plugins.get(name)
        if not is_local():
            raise Refusal(
                403,
                "Plugins are switched on the studio's own machine alone.",
                hint=f"There: sfumato plugins {'enable' if enabled else 'disable'} {name}",
            )
        disabled = set(self._studio.settings.read_again().in_file(DISABLED_KEY))
        disabled = disabled - {name} if enabled else disabled | {name}
        self._studio.settings.write(DISABLED_KEY, json.dumps(sorted(disabled)))
        return self._plugin(record)

    def _plugin(self, record: PluginRecord) -> dict[str, Any]:
        told = dataclasses.asdict(record)
        enabled = record.name not in self._studio.settings.read_again().plugins.disabled
        told = {name: told[name] for name in PluginAnswer.model_fields if name in told}
        is_loaded = record.state.value != "disabled"
        return {
            **told,
            "state": record.state.value,
            "traceback": record.traceback if is_local() else "",  # it names places on this machine
            "enabled": enabled,
            "needs_restart": enabled != is_loaded,
        }

    @endpoint("GET", "/workers", answer=WorkerList, summary="Worker processes", tags=SYSTEM)
    def workers(self) -> WorkerList:
        """Nothing where this server starts none."""
        return WorkerList(
            items=tuple(
                WorkerAnswer(**{name: getattr(state, name) for name in WorkerAnswer.model_fields})
                for state in self._studio.workers.states()
            )
        )

    @endpoint(
        "POST",
        "/workers/<lane>/restart",
        query=RestartQuery,
        answer=WorkerList,
        errors=(403,),
        summary="Restart a worker",
        tags=SYSTEM,
    )
    def restart(self, lane: str, query: RestartQuery) -> WorkerList:
        """Models are let go, and plugins loaded again. With `now` only where no work of others is stopped."""
        if lane not in get_args(Lane):
            raise UnknownName("lane", lane, get_args(Lane))
        if query.now and not is_local() and any(job.user != owner() for job in self._studio.jobs.running()):
            raise Refusal(403, "Work of others is going on.", hint="Restart the worker without 'now'.")
        self._studio.workers.restart(lane, now=query.now)
        return self.workers()

    @endpoint(
        "GET", "/memory", query=MemoryQuery, answer=MemoryAnswer, summary="Memory over time", tags=SYSTEM
    )
    def memory(self, query: MemoryQuery) -> MemoryAnswer:
        """Samples of the processes that work, oldest first."""
        now, machine = time.time(), machine_memory()
        since = now - 1800 if query.since is None else query.since
        samples = MemoryLog(self._studio.database).since(since, most=query.most)
        return MemoryAnswer(items=tuple(samples), now=now, total=machine.total, available=machine.available)


def _setting(settings: Settings, key: str) -> dict[str, Any]:
    from sfumato.settings import allowed

    field, where = settings.field(key), settings.where(key)
    key = key.strip().lower()
    secret = is_secret(key, extra_of(field))
    value = _as_json(settings.get(key))
    default = _as_json(field.get_default(call_default_factory=True))
    return {
        "key": key,
        "section": key.partition(".")[0],
        "title": field.title or key,
        "description": field.description or "",
        "value": None if secret else value,
        "default": None if secret else default,
        "allowed": allowed(field),
        "json_schema": _schema(settings, key),
        "origin": where.source,
        "detail": where.detail if is_local() or where.source != "file" else "",
        "secret": secret,
        "is_set": bool(value),
        "writable": _is_writable(settings, key),
    }


def _as_json(value: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Any).dump_python(value, mode="json", fallback=str)


def _schema(settings: Settings, key: str) -> dict[str, Any]:
    from pydantic import TypeAdapter

    try:
        annotation: Any = settings.field(key).rebuild_annotation()
        return TypeAdapter(annotation).json_schema()
    except Exception:  # a type of a plugin that JSON does not know
        return {}


def _is_writable(settings: Settings, key: str) -> bool:
    """Whoever is at this machine may change all; others nothing that is guarded."""
    return is_local() or not is_guarded(key.strip().lower(), settings.field(key))


def _as_text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
