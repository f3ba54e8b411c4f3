"""Style sheets, scripts and pictures of ours and of plugins: compressed, versioned, kept by browsers.

One version stands for all files of one run of the server. Links carry it as ``?v=``, and so do the imports
inside of modules, which are rewritten when they are served: a module imported from two places is the same
one, and browsers need not ask for it twice.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, request
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

FOLDER = Path(__file__).parent / "static"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATED = "no-cache"
IMPORT = re.compile(
    rb"""((?:^|[;}\s])(?:import|from|import\()\s*\(?\s*)(["'])((?:/|\./|\.\./)[^"'?]+\.js)\2""", re.M
)
COMPRESSED = ("text/", "application/json", "image/svg+xml", "application/manifest+json")
SMALLEST_COMPRESSED = 600


@dataclass(frozen=True)
class StaticFile:
    """One file as it is sent."""

    body: bytes
    compressed: bytes | None
    media_type: str
    etag: str


class StaticFiles:
    """All folders of static files of an application."""

    def __init__(self, folders: list[Path]) -> None:
        self.version = _version(folders)
        self._kept: dict[tuple[Path, int], StaticFile] = {}

    def find(self, folder: Path, name: str) -> StaticFile:
        """Raises `NotFound` for what is not in the folder."""
        path = safe_join(str(folder), name)
        if path is None:
            raise NotFound
        file = Path(path)
        try:
            if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
                raise NotFound
            key = (file, file.stat().st_mtime_ns)
            if key not in self._kept:
                self._kept[key] = self._read(file)
            return self._kept[key]
        except (OSError, ValueError):
            raise NotFound from None

    def _read(self, file: Path) -> StaticFile:
        body = file.read_bytes()
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if file.suffix in (".js", ".mjs"):
            media_type = "text/javascript"
            body = IMPORT.sub(rb"\1\2\3?v=" + self.version.encode() + rb"\2", body)
        compressed = None
        if len(body) >= SMALLEST_COMPRESSED and media_type.startswith(COMPRESSED):
            compressed = gzip.compress(body, 6, mtime=0)
        return StaticFile(body, compressed, media_type, hashlib.sha256(body).hexdigest()[:16])


def _version(folders: list[Path]) -> str:
    """Changes with any of the files."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            status = path.stat()
            digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    return digest.hexdigest()[:10]


def set_up(app: Flask) -> None:
    """Serve our files and those of every blueprint that has a folder of them; called when all are there."""
    folders = {"static": FOLDER}
    for name, blueprint in app.blueprints.items():
        if blueprint.static_folder:
            folders[f"{name}.static"] = Path(blueprint.static_folder)
    files = StaticFiles(list(folders.values()))
    app.extensions["sfumato.static"] = files
    app.add_url_rule("/static/<path:filename>", "static", _view(files, FOLDER))
    for endpoint, folder in folders.items():
        if endpoint in app.view_functions:
            app.view_functions[endpoint] = _view(files, folder)

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        name = endpoint
        if endpoint.startswith("."):
            name = f"{request.blueprint}{endpoint}"
        if name in folders:
            values.setdefault("v", files.version)


def version() -> str:
    """What links to files carry."""
    files: StaticFiles = current_app.extensions["sfumato.static"]
    return files.version


def _view(files: StaticFiles, folder: Path) -> Callable[..., Response]:
    def send(filename: str) -> Response:
        found = files.find(folder, filename)
        return send_kept(found, versioned=request.args.get("v") == files.version)

    return send


def send_kept(found: StaticFile, *, versioned: bool) -> Response:
    """The file, or that it has not changed."""
    packed = found.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", "")
    body = found.compressed if packed and found.compressed is not None else found.body
    response = Response(body, mimetype=found.media_type)
    response.set_etag(found.etag + ("-gz" if packed else ""))
    response.headers["Cache-Control"] = IMMUTABLE if versioned else REVALIDATED
    response.headers["Vary"] = "Accept-Encoding"
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.make_conditional(request.environ)
    return response


def compress(response: Response) -> None:
    """Pack a page that was just made, for browsers that take it.

    What is secret in it cannot be guessed from its packed size (BREACH): pages of other sites can neither
    have it fetched with the session's cookie nor see its size.
    """
    if response.is_streamed or "Content-Encoding" in response.headers:
        return
    body = response.get_data()
    if len(body) >= SMALLEST_COMPRESSED and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.set_data(gzip.compress(body, 4, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
