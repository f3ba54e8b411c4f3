"""/queries, /tasks, /schemas: what plugins answer and do, with the schemas of what they want."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from sfumato.queries import QueryInfo
from sfumato.request.schema import load_model
from sfumato.studio import Studio
from sfumato.tasks import TaskInfo
from sfumato_ui_web.api.cursors import listing
from sfumato_ui_web.api.endpoints import Answer, Refusal, endpoint
from sfumato_ui_web.path_rules import PathRules

TAGS = ("Work and questions",)


class Fields(RootModel[dict[str, Any]]):
    """The fields of a question."""


class Reply(RootModel[dict[str, Any]]):
    """What came back; each question has its own form."""


class QueryList(Answer):
    """The questions that can be asked."""

    items: tuple[QueryInfo, ...]
    next: None = None


class TaskAnswer(TaskInfo):
    """A kind of work that can be queued."""

    model_config = ConfigDict(defer_build=True)

    plugin: str
    json_schema: dict[str, Any] = Field(description="JSON schema of its request.")


class TaskList(Answer):
    """The kinds of work."""

    items: tuple[TaskAnswer, ...]
    next: None = None


class Questions:
    """What plugins answer and do."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._rules = PathRules(studio)

    @endpoint("GET", "/queries", answer=QueryList, summary="Questions that can be asked", tags=TAGS)
    def queries(self) -> dict[str, Any]:
        """Each with the model of its fields; /schemas/{name} has it as JSON schema."""
        return listing([entry.info.model_dump(mode="json") for entry in self._studio.registries.queries])

    @endpoint(
        "POST",
        "/queries/<query>",
        body=Fields,
        answer=Reply,
        errors=(403,),
        summary="Ask a question",
        tags=TAGS,
    )
    def ask(self, query: str, body: Fields) -> dict[str, Any]:
        """Answered at once, without the queue."""
        entry = self._studio.registries.queries.get(query)
        model: type[BaseModel] = load_model(entry.info.request)
        given = self._rules.checked(model, body.root) if entry.info.reads_paths else _valid(model, body.root)
        fields = {name: getattr(given, name) for name in given.model_fields_set}
        return self._studio.ask(entry.info.name, **fields).model_dump(mode="json")

    @endpoint("GET", "/tasks", answer=TaskList, summary="Kinds of work", tags=TAGS)
    def tasks(self) -> dict[str, Any]:
        """What can be queued, with the JSON schema of each request."""
        entries = [entry for entry in self._studio.registries.tasks if entry.info.request]
        return listing(
            [
                {
                    **entry.info.model_dump(mode="json"),
                    "plugin": entry.plugin,
                    "json_schema": _schema(load_model(entry.info.request)),
                }
                for entry in entries
            ]
        )

    @endpoint("GET", "/schemas/<kind>", answer=Reply, summary="The schema of a request", tags=TAGS)
    def schema(self, kind: str) -> dict[str, Any]:
        """Of a kind of work, or else of a question: JSON schema, with what forms want to know of each field:
        `group`, `choices`, `advanced`, `unit`, `step`, `lines`, `picture`."""
        registries = self._studio.registries
        info = (
            registries.queries.get(kind).info
            if kind in registries.queries
            else registries.tasks.get(kind).info
        )
        if kind in registries.tasks:
            info = registries.tasks.get(kind).info
        if not info.request:
            raise Refusal(404, f"Work of the kind '{kind}' tells no schema.")
        return _schema(load_model(info.request))


def _valid(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    return model.model_validate(values)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()
