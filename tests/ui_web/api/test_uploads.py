"""Files that clients bring."""

from __future__ import annotations

import hashlib
import io
import os
import time
import zlib

import pytest
from flask.testing import FlaskClient
from PIL import Image

from sfumato.errors import BadInput
from sfumato.studio import Studio
from sfumato_ui_web.uploads import Uploads, uploads_in


def picture(format: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "#336699").save(file, format)
    return file.getvalue()


@pytest.fixture
def uploads(studio: Studio) -> Uploads:
    return Uploads(studio.settings)


@pytest.mark.parametrize(
    ("format", "media_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif"),
     ("BMP", "image/bmp"), ("AVIF", "image/avif"), ("TIFF", "image/tiff")],
)  # fmt: skip
def test_a_picture_is_known_by_its_content_and_comes_back_as_it_was(
    client: FlaskClient, format: str, media_type: str
) -> None:
    data = picture(format)
    told = client.post("/api/v1/uploads", data={"file": (io.BytesIO(data), "x.exe")})
    assert told.status_code == 201
    assert (told.json["width"], told.json["height"], told.json["media_type"]) == (8, 6, media_type)
    assert told.json["path"] == f"upload:{hashlib.sha256(data).hexdigest()[:32]}"
    back = client.get(told.json["url"], buffered=True)
    assert (back.data, back.mimetype) == (data, media_type)
    assert back.headers["X-Content-Type-Options"] == "nosniff"


def test_the_same_file_is_kept_once_however_it_is_brought(client: FlaskClient, uploads: Uploads) -> None:
    data = picture()
    first = client.post("/api/v1/uploads", data={"file": (io.BytesIO(data), "a.png")}).json
    second = client.post("/api/v1/uploads", data=data, content_type="image/jpeg").json
    assert first == second
    assert len(list(uploads.folder.iterdir())) == 1


def test_a_list_of_prompts_is_a_text(client: FlaskClient) -> None:
    told = client.post("/api/v1/uploads?name=list.json", data=b'[{"prompt": "a"}]', content_type="text/plain")
    assert (told.json["kind"], told.json["media_type"], told.json["width"]) == ("text", "application/json", 0)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "a.png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "a.svg"),
        (b"<html><script>alert(1)</script></html>", "a.png"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.eps"),
        (picture()[:40], "a.png"),
        (b"{no json", "a.json"),
        (b"\xff\xfe\x00", "a.txt"),
        (b"a\0b", "a.txt"),
        (b"x" * 5_000_001, "a.txt"),
    ],
)
def test_what_is_neither_is_refused_and_not_kept(uploads: Uploads, data: bytes, name: str) -> None:
    with pytest.raises(BadInput):
        uploads.add(data, name)
    assert not uploads.folder.exists()


def test_a_picture_that_promises_too_many_pixels_is_refused(uploads: Uploads) -> None:
    data = bytearray(picture())
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the chunk IHDR
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(BadInput, match="is too large to be read"):
        uploads.add(bytes(data))


def test_a_file_above_the_limit_is_refused(uploads: Uploads) -> None:
    uploads.most = 100
    with pytest.raises(BadInput, match="too large"):
        uploads.add(picture(size=(200, 200)) + b"\0" * 100)


def test_no_file_is_400(client: FlaskClient) -> None:
    assert client.post("/api/v1/uploads").status_code == 400
    assert (
        client.post("/api/v1/uploads", data={"other": "x"}, content_type="multipart/form-data").status_code
        == 400
    )


@pytest.mark.parametrize("id", ["x", "0" * 32, "..%2f..%2fsecret", "%00", "A" * 32])
def test_what_was_not_brought_is_404(client: FlaskClient, id: str) -> None:
    assert client.get(f"/api/v1/uploads/{id}").status_code == 404


def test_files_that_nobody_used_for_long_expire_but_those_that_work_needs(uploads: Uploads) -> None:
    old, needed, new = (uploads.add(picture(size=(side, 4))) for side in (5, 6, 7))
    long_ago = time.time() - 31 * 86400
    for upload in (old, needed):
        os.utime(upload.path, (long_ago, long_ago))
    assert uploads.sweep(kept=[needed.id]) == 1
    assert {path.stem for path in uploads.folder.iterdir()} == {needed.id, new.id}


def test_use_puts_off_the_end(uploads: Uploads) -> None:
    upload = uploads.add(picture())
    long_ago = time.time() - 31 * 86400
    os.utime(upload.path, (long_ago, long_ago))
    uploads.get(upload.id)
    assert uploads.sweep() == 0


def test_uploads_are_found_in_requests_by_name_and_by_path(uploads: Uploads) -> None:
    one, other = uploads.add(picture()), uploads.add(picture(size=(9, 9)))
    request = {"img2img": {"image": str(one.path)}, "regions": [other.name, "upload:x"], "prompt": "0" * 31}
    assert set(uploads_in(request)) == {one.id, other.id}
    assert uploads.name_of(str(one.path)) == one.name
    assert uploads.name_of(f"{one.path}x/..") == uploads.name_of("/etc/passwd") == ""
