"""/models: the checkpoints that there are, with their pictures."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from flask import Response
from pydantic import Field

from sfumato.errors import UnknownName
from sfumato.models import ModelInfo
from sfumato.previews import preview_beside
from sfumato.studio import Studio
from sfumato_ui_web.api.cursors import listing
from sfumato_ui_web.api.endpoints import Answer, Message, Refusal, endpoint
from sfumato_ui_web.api.job_answers import API
from sfumato_ui_web.api.owners import is_local
from sfumato_ui_web.api.pictures import MEDIA, picture_file

TAGS = ("Models",)
KEPT_SECONDS = 5.0
"""A list is good for so long: a folder of thousands takes a while to look through."""


class ModelAnswer(Answer):
    """A model as lists show it."""

    name: str = Field(description="What requests call it.")
    label: str
    family: str
    variant: str = ""
    layout: str
    format: str
    prediction: str
    size: int = Field(description="Bytes of the parts that it holds.")
    missing_parts: tuple[str, ...] = Field(default=(), description="Parts that must be found beside it.")
    sees_picture: bool = Field(default=False, description="Whether it paints into pictures (inpainting).")
    defaults: dict[str, Any] = Field(description="What it recommends.")
    ignores: tuple[str, ...] = ()
    is_default: bool = False
    preview_url: str | None = None
    path: str | None = Field(default=None, description="Its file or folder; told on this machine alone.")


class ModelProblem(Answer):
    """A file that is no model, or a damaged one."""

    name: str
    title: str
    detail: str = ""
    hint: str = ""


class ModelAnswers(Answer):
    """The models, and files that could not be understood."""

    items: tuple[ModelAnswer, ...]
    next: None = None
    problems: tuple[ModelProblem, ...] = ()


class ModelDetails(ModelAnswer):
    """All that is known of a model without reading a weight."""

    parts: tuple[dict[str, Any], ...] = ()
    sizes: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)


class ModelQuery(Message):
    """Which list."""

    fresh: bool = Field(default=False, description="Look through the folders anew.")


class ModelList:
    """The models of the library, looked through now and then."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._found: list[ModelInfo] = []
        self._problems: list[dict[str, str]] = []
        self._until = 0.0

    def models(self, *, fresh: bool = False) -> list[ModelInfo]:
        with self._lock:
            if fresh or time.monotonic() > self._until:
                self._found = self._studio.library.models()
                self._problems = [
                    {"name": path.name, "title": error.what, "detail": error.why, "hint": error.hint}
                    for path, error in self._studio.library.problems.items()
                ]
                self._until = time.monotonic() + KEPT_SECONDS
            return self._found

    @endpoint("GET", "/models", query=ModelQuery, answer=ModelAnswers, summary="Models", tags=TAGS)
    def listed(self, query: ModelQuery) -> dict[str, Any]:
        """Those that plugins bring first."""
        found = self.models(fresh=query.fresh)
        return {**listing([self._summary(model) for model in found]), "problems": self._problems}

    @endpoint("GET", "/models/<path:name>", answer=ModelDetails, summary="One model", tags=TAGS)
    def get(self, name: str) -> dict[str, Any]:
        model = self._named(name)
        told = model.model_dump(mode="json", include={"parts", "sizes", "options", "metadata"})
        return {**self._summary(model), **told}

    @endpoint(
        "GET",
        "/models/<path:name>/preview",
        media=MEDIA,
        also=(206, 304),
        summary="A model's picture",
        tags=TAGS,
    )
    def preview(self, name: str) -> Response:
        """The picture that lies beside the file under its name."""
        found = preview_beside(self._named(name).path)
        if found is None:
            raise Refusal(404, "There is no picture of that model.", hint="Put NAME.png beside its file.")
        return picture_file(found)

    def _named(self, name: str) -> ModelInfo:
        """By the names that the list tells, so that no path is asked for; raises `UnknownName`."""
        models = self.models()
        for model in models:
            if model.name == name:
                return model
        raise UnknownName("model", name, [model.name for model in models])

    def _summary(self, model: ModelInfo) -> dict[str, Any]:
        fields = ("name", "label", "family", "variant", "layout", "format", "prediction")
        return {
            **{name: getattr(model, name) for name in fields},
            "size": model.size_bytes,
            "missing_parts": model.missing_parts,
            "sees_picture": model.sees_picture,
            "defaults": model.defaults.model_dump(mode="json"),
            "ignores": model.ignores,
            "is_default": model.name == self._studio.settings.general.default_model,
            "preview_url": self._preview_url(model),
            "path": str(model.path) if is_local() else None,
        }

    def _preview_url(self, model: ModelInfo) -> str | None:
        from urllib.parse import quote

        found: Path | None = preview_beside(model.path)
        return f"{API}/models/{quote(model.name)}/preview" if found else None
