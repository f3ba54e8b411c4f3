"""Pictures of jobs: the preview of a running one, and the files it saved."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from flask import Response, request, send_file
from pydantic import Field

from sfumato.studio import Studio
from sfumato_ui_web.api.endpoints import Message, Refusal, endpoint
from sfumato_ui_web.api.jobs import own_job

TAGS = ("Jobs",)
BYTES = {"type": "string", "format": "binary"}
MEDIA = {f"image/{kind}": BYTES for kind in ("png", "jpeg", "webp", "avif")}


class PreviewQuery(Message):
    """Which picture of the batch."""

    index: int = Field(default=0, ge=0, le=100_000, description="From 0.")


class FileQuery(Message):
    """How a file is wanted."""

    download: bool = Field(default=False, description="As a file to be kept, not to be shown.")


class JobPictures:
    """The pictures of jobs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @endpoint(
        "GET",
        "/jobs/<job>/preview",
        query=PreviewQuery,
        media={"image/png": BYTES},
        also=(304,),
        summary="The newest preview",
        tags=TAGS,
    )
    def preview(self, job: str, query: PreviewQuery) -> Response:
        """404 while there is none. With the ETag of the one before in If-None-Match, 304 until there is a
        newer one."""
        found = self._studio.jobs.preview(own_job(self._studio, job).id)
        if found is None or query.index >= len(found.pictures):
            raise Refusal(404, "There is no preview.", hint="Ask again while the job runs.")
        answer = Response(mimetype="image/png")
        answer.set_etag(f"{job}-{found.number}-{query.index}")
        answer.headers["Cache-Control"] = "private, no-cache"
        if request.if_none_match.contains(answer.get_etag()[0] or ""):
            answer.status_code = 304
        else:
            answer.data = found.pictures[query.index]
        return answer

    @endpoint(
        "GET",
        "/jobs/<job>/pictures/<int:number>",
        query=FileQuery,
        media=MEDIA,
        also=(206, 304),
        summary="A saved picture",
        tags=TAGS,
    )
    def picture(self, job: str, number: int, query: FileQuery) -> Response:
        """The file as it was saved, counted from 0."""
        images = own_job(self._studio, job).images
        if number >= len(images) or not images[number].path.is_file():
            raise Refusal(404, "There is no such picture.", hint="It may have been moved or deleted.")
        return picture_file(images[number].path, download=query.download)


def picture_file(path: Path, *, download: bool = False, media_type: str = "") -> Response:
    """A file of a picture; it never is what a browser would run."""
    guessed = media_type or mimetypes.guess_type(path.name)[0] or ""
    safe = guessed if guessed.startswith("image/") and "svg" not in guessed else "application/octet-stream"
    answer = send_file(
        path.absolute(), mimetype=safe, as_attachment=download, download_name=path.name, conditional=True
    )
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
