"""Files on their way to a browser."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from flask import Response, request, send_file

_MEDIA_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".avif": "image/avif", ".gif": "image/gif", ".bmp": "image/bmp", ".tif": "image/tiff",
    ".tiff": "image/tiff",
}  # fmt: skip
_YEAR = 365 * 86_400
_IN_MEMORY = 8 << 20


def picture_file(path: Path, name: str, *, download: bool, lasting: bool) -> Response:
    """A picture, in parts where they are asked for; never taken for anything but a picture.

    Args:
        name: It is saved under.
        lasting: Whether the address changes with the file, so that browsers need not ask again.
    """
    media = _MEDIA_TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    stat = path.stat()
    answer = send_file(
        path, mimetype=media, as_attachment=download, download_name=name, conditional=True,
        etag=f"{stat.st_mtime_ns:x}-{stat.st_size:x}", last_modified=stat.st_mtime,
    )  # fmt: skip
    return _guarded(answer, lasting)


def thumbnail_file(path: Path, tag: str, *, lasting: bool) -> Response:
    """A small WebP."""
    if request.if_none_match.contains(tag):
        answer = Response(status=304)
    else:
        answer = Response(path.read_bytes(), mimetype="image/webp")
    answer.set_etag(tag)
    return _guarded(answer, lasting)


def _guarded(answer: Response, lasting: bool) -> Response:
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    answer.headers["Cache-Control"] = (
        f"private, max-age={_YEAR}, immutable" if lasting else "private, no-cache"
    )
    return answer


def archive_file(paths: Sequence[Path]) -> Response:
    """A ZIP of pictures, from a temporary file that is gone with the answer.

    Raises `SfumatoError` when a picture cannot be read: nothing has been sent by then.
    """
    from sfumato_pictures.archive import stream_archive

    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the answer closes it
    stream_archive(file, paths)  # type: ignore[arg-type]
    size = file.tell()
    file.seek(0)
    name = f"pictures-{time.strftime('%Y%m%d-%H%M%S')}.zip"
    answer = send_file(file, mimetype="application/zip", as_attachment=True, download_name=name)
    answer.content_length = size
    return answer
