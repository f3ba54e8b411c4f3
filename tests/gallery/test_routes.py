from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from sfumato import Studio
from sfumato_gallery import routes
from sfumato_gallery.index import PictureIndex
from sfumato_gallery.records import IndexReport, picture_id
from sfumato_gallery.thumbnails import Thumbnails, make_thumbnail

from ..infotexts import FOX, SAILOR, STREET
from .conftest import WritePicture, facts

Run = Callable[..., IndexReport]
ADDRESS = "/api/v1/pictures"


class ClosingClient(FlaskClient):
    """Reads every answer to its end and closes it, as a server does."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        answer = super().open(*args, **options)
        answer.get_data()
        answer.close()
        return answer


@pytest.fixture
def client(studio: Studio) -> FlaskClient:
    app = Flask("gallery")
    app.register_blueprint(routes.build(studio), url_prefix=ADDRESS)
    app.before_request_funcs.clear()  # indexing by itself would meddle
    app.test_client_class = ClosingClient
    return app.test_client()


@pytest.fixture
def pictures(write_picture: WritePicture, run_indexing: Run) -> list[Path]:
    paths = [write_picture(f"{n}.png", text) for n, text in enumerate((FOX, SAILOR, STREET))]
    run_indexing()
    return paths


def test_a_list_tells_of_its_pictures(client: FlaskClient, pictures: list[Path]) -> None:
    (item,) = client.get(f"{ADDRESS}?q=fox").json["items"]
    assert item["id"] == picture_id(pictures[0])
    assert (item["seed"], item["loras"], item["model"]) == (3319, ["inkWash", "paper-grain"], "meadow")
    assert client.get(f"{ADDRESS}/count?lora=inkWash").json == {"count": 1}
    assert client.get(f"{ADDRESS}/shapes").json == {"ratios": [133, 133, 133]}
    assert client.get(f"{ADDRESS}/suggestions").json["models"] == ["harbor_v3", "meadow", "northlight"]
    details = client.get(f"{ADDRESS}/{item['id']}").json
    assert (details["infotext"], details["source"], details["fields"]["Steps"]) == (FOX, "a1111", "30")


def test_any_part_of_a_list_is_reached_although_new_pictures_come(
    client: FlaskClient, pictures: list[Path], write_picture: WritePicture, run_indexing: Run
) -> None:
    first = client.get(f"{ADDRESS}?limit=1").json
    rest = [item["id"] for item in client.get(ADDRESS).json["items"]][1:]
    write_picture("newer.png")
    run_indexing()
    for offset in (0, 1):
        part = client.get(ADDRESS, query_string={"cursor": first["start"], "offset": offset}).json
        assert [item["id"] for item in part["items"]] == rest[offset:]


def test_favourites_and_scores_are_changed_one_by_one_and_together(
    client: FlaskClient, pictures: list[Path]
) -> None:
    ids = [picture_id(path) for path in pictures]
    changed = client.patch(f"{ADDRESS}/{ids[0]}", json={"favourite": True, "score": 8}).json
    assert (changed["favourite"], changed["score"]) == (True, 8)
    assert client.patch(f"{ADDRESS}/{ids[0]}", json={"score": None}).json["score"] is None
    assert client.get(f"{ADDRESS}/{ids[0]}").json["favourite"] is True
    assert client.patch(ADDRESS, json={"ids": ids, "favourite": True}).json == {"count": 3}
    assert client.get(f"{ADDRESS}/count?favourite=true").json == {"count": 3}
    assert client.patch(f"{ADDRESS}/{ids[0]}", json={"score": 11}).status_code == 422
    assert client.patch(f"{ADDRESS}/{ids[0]}", json={"path": "/etc"}).status_code == 422


def test_several_go_to_the_trash_and_back(client: FlaskClient, pictures: list[Path]) -> None:
    ids = [picture_id(path) for path in pictures[:2]]
    thrown = client.post(f"{ADDRESS}/trash", json={"ids": [*ids, "0" * 16]}).json["items"]
    assert len(thrown) == 2
    assert thrown[0]["name"] == "0.png"
    assert client.get(thrown[0]["url"]).status_code == 200
    assert client.get(f"{ADDRESS}/count?trash=true").json == {"count": 2}
    client.post(f"{ADDRESS}/{ids[0]}/restore")
    back = client.post(f"{ADDRESS}/restore", json={"ids": [thrown[1]["id"]]}).json["items"]
    assert [item["id"] for item in back] == ids[1:]
    assert client.post(f"{ADDRESS}/trash/empty").json == {"count": 0}
    assert all(path.exists() for path in pictures)


def test_files_come_in_parts_once_and_under_their_name(client: FlaskClient, pictures: list[Path]) -> None:
    id, content = picture_id(pictures[0]), pictures[0].read_bytes()
    whole = client.get(f"{ADDRESS}/{id}/file?download=1")
    assert whole.data == content
    assert whole.headers["Content-Disposition"] == "attachment; filename=0.png"
    assert (whole.mimetype, whole.headers["X-Content-Type-Options"]) == ("image/png", "nosniff")
    part = client.get(f"{ADDRESS}/{id}/file", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.data) == (206, content[2:6])
    again = client.get(f"{ADDRESS}/{id}/file", headers={"If-None-Match": whole.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_selection_comes_as_a_zip(client: FlaskClient, pictures: list[Path]) -> None:
    pictures[2].unlink()
    answer = client.post(f"{ADDRESS}/archive", json={"ids": [picture_id(path) for path in pictures]})
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["0.png", "1.png"]
        assert archive.read("1.png") == pictures[1].read_bytes()
    assert client.post(f"{ADDRESS}/archive", json={"ids": ["0" * 16]}).status_code == 404


@pytest.mark.parametrize(
    "id", ["0" * 16, "..", "%2e%2e%2fsettings.toml", "..%2f..%2fetc%2fpasswd", "x" * 16, "' OR 1=1", "a%00b"]
)
def test_ids_that_are_none_are_not_found(id: str, client: FlaskClient, pictures: list[Path]) -> None:
    for tail in ("", "/file", "/thumbnail"):
        assert client.get(f"{ADDRESS}/{id}{tail}").status_code == 404
    assert client.post(f"{ADDRESS}/{id}/trash").status_code == 404


def test_nothing_outside_the_folders_is_handed_out(
    client: FlaskClient, index: PictureIndex, pictures: list[Path], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    strange = facts("x.png").model_copy(update={"path": secret})
    dotted = facts("x.png").model_copy(update={"path": pictures[0].parent / ".." / "secret.png"})
    index.put([strange, dotted])
    pictures[1].unlink()
    pictures[1].symlink_to(secret)
    for path in (secret, dotted.path, pictures[1]):
        id = picture_id(path)
        assert client.get(f"{ADDRESS}/{id}").status_code == 200
        assert client.get(f"{ADDRESS}/{id}/file").status_code == 404
        assert client.get(f"{ADDRESS}/{id}/thumbnail").status_code == 404
        assert client.post(f"{ADDRESS}/{id}/trash").status_code == 422
        assert client.post(f"{ADDRESS}/archive", json={"ids": [id]}).status_code == 404
    assert secret.exists()


def test_thumbnails_are_kept_and_follow_the_file(
    client: FlaskClient, write_picture: WritePicture, run_indexing: Run
) -> None:
    path = write_picture("a.png", size=(600, 300))
    run_indexing()
    address = f"{ADDRESS}/{picture_id(path)}/thumbnail"
    small = client.get(f"{address}?size=128")
    with Image.open(io.BytesIO(small.data)) as image:
        assert (image.format, image.size) == ("WEBP", (128, 64))
    assert (
        client.get(f"{address}?size=128", headers={"If-None-Match": small.headers["ETag"]}).status_code == 304
    )
    assert client.get(f"{address}?size=100").status_code == 422
    write_picture("a.png", size=(300, 600))
    with Image.open(io.BytesIO(client.get(f"{address}?size=128").data)) as image:
        assert image.size == (64, 128)


def test_thumbnails_stand_upright_and_keep_what_is_transparent(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(tmp_path / "lying.jpg", exif=exif)
    with Image.open(io.BytesIO(make_thumbnail(tmp_path / "lying.jpg", 128))) as image:
        assert image.size == (64, 128)
    Image.new("RGBA", (400, 200), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    with Image.open(io.BytesIO(make_thumbnail(tmp_path / "clear.png", 128))) as image:
        assert image.getextrema()[3] == (0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK", "I", "F"])
def test_pictures_of_any_colours_have_thumbnails(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new(mode, (300, 200)).save(path)
    with Image.open(io.BytesIO(make_thumbnail(path, 128))) as image:
        assert max(image.size) == 128


def test_a_bomb_has_no_thumbnail(client: FlaskClient, output: Path, index: PictureIndex) -> None:
    path = output / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    index.put([facts("x").model_copy(update={"path": path})])
    answer = client.get(f"{ADDRESS}/{picture_id(path)}/thumbnail")
    assert answer.status_code == 422
    assert "too large" in answer.json["title"]


def test_the_cache_of_thumbnails_stays_within_its_limit(tmp_path: Path, write_picture: WritePicture) -> None:
    path = write_picture("a.png", size=(300, 200))
    thumbnails = Thumbnails(tmp_path / "cache", most_bytes=1000)
    for number in range(40):
        thumbnails.get(path, float(number), 1, 128)
    thumbnails.make_room()
    left = list((tmp_path / "cache").glob("*/*"))
    assert sum(file.stat().st_size for file in left) <= 1000
    assert thumbnails.get(path, 39.0, 1, 128)[0] in left
