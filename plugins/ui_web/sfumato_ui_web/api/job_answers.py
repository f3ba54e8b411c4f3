"""Jobs as the API shows them: with addresses of their pictures, and without places on the server's disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from sfumato.jobs.records import Job
from sfumato.records import ImageRecord
from sfumato.studio import Studio
from sfumato_ui_web.api.endpoints import Answer
from sfumato_ui_web.api.owners import is_local
from sfumato_ui_web.uploads import Uploads

API = "/api/v1"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif")


class PictureAnswer(ImageRecord):
    """A picture that a job saved."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(description="Its id in the gallery: see /pictures.")
    url: str = Field(description="Where the file is.")


class JobAnswer(Job):
    """One piece of work in the queue or its history."""

    model_config = ConfigDict(defer_build=True)

    images: tuple[PictureAnswer, ...] = Field(default=(), description="Saved so far, in order.")
    preview_url: str | None = Field(default=None, description="Where the newest preview is, while it runs.")


class JobList(Answer):
    """A page of jobs."""

    items: tuple[JobAnswer, ...]
    next: str | None = Field(default=None, description="The cursor of the next page; null on the last one.")


def picture_id(path: Path | str) -> str:
    """A picture's id in the gallery: 16 hex digits that its absolute path as text decides."""
    return hashlib.sha256(str(Path(path).absolute()).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class JobView:
    """Writes jobs for whoever asks."""

    def __init__(self, studio: Studio) -> None:
        self._uploads = Uploads(studio.settings)
        self._drawn = os.path.join(Path(studio.settings.general.output_folder).absolute(), "")

    def many(self, jobs: Iterable[Job]) -> list[dict[str, Any]]:
        return [self.one(job) for job in jobs]

    def one(self, job: Job) -> dict[str, Any]:
        """As `JobAnswer` describes it."""
        written = job.model_dump(mode="json")
        hide = self._shown if is_local() else self._without_places
        written["request"] = _each_text(written["request"], self._picture)
        for index, image in enumerate(written["images"]):
            image["request"] = _each_text(image["request"], self._picture)
            image["id"] = picture_id(image["path"])
            image["url"] = f"{API}/jobs/{job.id}/pictures/{index}"
        written["preview_url"] = f"{API}/jobs/{job.id}/preview" if job.state == "running" else None
        for part in ("request", "result", "images"):
            written[part] = _each_text(written[part], hide)
        return written

    def _picture(self, text: str) -> str:
        """A picture that was drawn here, by its name: so a form finds it again, and shows it."""
        is_drawn = text.startswith(self._drawn) and text.lower().endswith(PICTURES)
        return f"picture:{picture_id(text)}" if is_drawn else text

    def _shown(self, text: str) -> str:
        """Uploads by their names, whoever asks: so a form finds them again."""
        return self._uploads.name_of(text) or text

    def _without_places(self, text: str) -> str:
        """Names instead of absolute paths, for who is not at this machine."""
        name = self._uploads.name_of(text)
        if name or "\n" in text or len(text) > 4096 or not Path(text).is_absolute():
            return name or text
        return Path(text).name


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """The same JSON with every text changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [_each_text(part, change) for part in value]
    return value
