"""/uploads: files that clients bring, to be named in requests."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from flask import Response, request
from pydantic import Field

from sfumato.studio import Studio
from sfumato_ui_web.api.endpoints import Answer, Message, Refusal, endpoint
from sfumato_ui_web.api.job_answers import API
from sfumato_ui_web.api.pictures import BYTES, MEDIA, picture_file
from sfumato_ui_web.uploads import Upload, Uploads, uploads_in

log = logging.getLogger(__name__)

TAGS = ("Uploads",)
BETWEEN_SWEEPS = 3600.0
FORM = "multipart/form-data"
_TAKES = {
    FORM: {"type": "object", "properties": {"file": BYTES}, "required": ["file"]},
    "application/octet-stream": BYTES,
    "image/*": BYTES,
}
_GIVES = {**MEDIA, "application/json": {}, "text/plain": {"type": "string"}}


class UploadQuery(Message):
    """What the file is called."""

    name: str = Field(
        default="", max_length=1000, description="Ends in .json or .txt for a list of prompts; else unused."
    )


class UploadAnswer(Answer):
    """A file that was brought."""

    id: str
    path: str = Field(description="What requests call it: 'upload:<id>'.")
    url: str
    kind: str = Field(description="'picture' or 'text'.")
    media_type: str
    size: int = Field(description="Bytes.")
    width: int = Field(description="Of a picture, in pixels; 0 for a text.")
    height: int


class UploadRoutes:
    """Files brought, and handed out again."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._uploads = Uploads(studio.settings)
        self._sweeping = threading.Lock()
        self._swept = 0.0

    @endpoint(
        "POST",
        "/uploads",
        query=UploadQuery,
        answer=UploadAnswer,
        status=201,
        errors=(400, 413),
        takes=_TAKES,
        summary="Bring a file",
        tags=TAGS,
    )
    def bring(self, query: UploadQuery) -> UploadAnswer:
        """A picture (PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF) or a list of prompts, as the field `file` of a
        form or as the body alone. The same file brought twice is kept once."""
        self._sweep()
        data, name = _brought(query.name)
        if len(data) > self._uploads.most:
            raise Refusal(413, "The file is too large.", why=f"{self._uploads.most >> 20} MiB are taken.")
        return _told(self._uploads.add(data, name))

    @endpoint("GET", "/uploads/<id>", media=_GIVES, also=(206, 304), summary="The file", tags=TAGS)
    def file(self, id: str) -> Response:
        found = self._uploads.get(id)
        return picture_file(found.path, media_type=found.media_type)

    def _sweep(self) -> None:
        """Let expired files go, now and then; what waits in the queue needs its own."""
        with self._sweeping:
            if self._swept and time.monotonic() - self._swept < BETWEEN_SWEEPS:
                return
            self._swept = time.monotonic()
        jobs = (*self._studio.jobs.waiting(), *self._studio.jobs.running())
        count = self._uploads.sweep(identity for job in jobs for identity in uploads_in(job.request))
        if count:
            log.info("%d uploads that nobody used expired", count)


def _brought(name: str) -> tuple[bytes, str]:
    if request.mimetype != FORM:
        data = request.get_data(cache=False)
        if not data:
            raise Refusal(
                400, "No file was sent.", hint="Send it as the body, or as the form's field 'file'."
            )
        return data, name
    files: Any = request.files.getlist("file")
    if len(files) != 1:
        raise Refusal(400, "The form has no field 'file'.", why=f"It has {len(files)} of them.")
    return files[0].read(), name or files[0].filename or ""


def _told(upload: Upload) -> UploadAnswer:
    return UploadAnswer(
        id=upload.id,
        path=upload.name,
        url=f"{API}/uploads/{upload.id}",
        kind=upload.kind,
        media_type=upload.media_type,
        size=upload.size,
        width=upload.width,
        height=upload.height,
    )
