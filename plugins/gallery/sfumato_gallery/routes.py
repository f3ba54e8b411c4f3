"""/api/v1/pictures: the gallery for programs, and for its own page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from flask import Blueprint, Response
from pydantic import Field

from sfumato_gallery import answers, files
from sfumato_gallery.filters import Filters, Sort
from sfumato_gallery.gallery import Gallery
from sfumato_gallery.index import Found, cursor_of
from sfumato_gallery.records import (
    Picture,
    PictureChange,
    PictureCount,
    PictureDetails,
    PicturePage,
    Selection,
    SelectionChange,
    Shapes,
    Suggestions,
)
from sfumato_ui_web.endpoints import ListQuery, Message, Refusal, endpoint, mount

if TYPE_CHECKING:
    from sfumato.studio import Studio

TAGS = ("Pictures",)
_BYTES = {"type": "string", "format": "binary"}
_DATE = "A year, month or day: 2025, 2025-03, 2025-03-31."


class FilterQuery(Message):
    """Which pictures."""

    q: str = Field(
        default="",
        max_length=2000,
        description='Words, "phrases", -exclusions, and properties: model: lora: sampler: name: seed: steps: '
        "cfg: size: width: height: score:>5 before: after: date: is:favourite.",
    )
    model: str | None = Field(default=None, description="Exactly this model.")
    lora: str | None = Field(default=None, description="Exactly this LoRA.")
    after: str | None = Field(default=None, alias="from", description=f"Made then or later. {_DATE}")
    before: str | None = Field(default=None, alias="to", description=f"Made then or earlier. {_DATE}")
    min_score: float | None = Field(default=None, ge=0, le=10)
    favourite: bool | None = None
    folder: str | None = Field(default=None, max_length=4000, description="There or below.")
    job: str | None = Field(default=None, max_length=64)
    trash: bool = Field(default=False, description="What is in the trash instead.")
    missing: bool = Field(default=False, description="Also pictures whose files are gone.")

    def filters(self) -> Filters:
        return Filters(**self.model_dump(include=set(FilterQuery.model_fields)))


class SortedQuery(FilterQuery):
    """Which pictures, in which order."""

    sort: Sort = "newest"


class PicturesQuery(SortedQuery, ListQuery):
    """Which pictures, and which part of their list."""

    limit: int = Field(default=100, ge=1, le=500, description="Items a page.")
    offset: int = Field(default=0, ge=0, description="Pictures to leave out from where the page begins.")


class FileQuery(Message):
    """How the file is handed out."""

    download: bool = Field(default=False, description="To be saved under its name.")
    v: str = Field(default="", max_length=20, description="The file's state: it may be kept for long.")


class ThumbnailQuery(Message):
    """How large."""

    size: Literal["128", "256", "512"] = Field(default="256", description="The longest side in pixels.")
    v: str = Field(default="", max_length=20, description="The file's state: it may be kept for long.")


def build(studio: Studio) -> Blueprint:
    gallery = Gallery(studio)
    blueprint = Blueprint("pictures", __name__)
    mount(blueprint, Pictures(gallery), PictureFiles(gallery))
    blueprint.before_request(gallery.start)  # for who never opens the gallery there is nothing to do
    return blueprint


class Pictures:
    """What is known of pictures."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    @endpoint("GET", "/", query=PicturesQuery, answer=PicturePage, summary="Search pictures", tags=TAGS)
    def search(self, query: PicturesQuery) -> dict[str, Any]:
        rows = self._gallery.index.find(
            query.filters(),
            sort=query.sort,
            cursor=query.cursor,
            limit=query.limit + 1,  # one more tells whether something follows
            offset=query.offset,
        )
        shown = rows[: query.limit]
        following = cursor_of(shown[-1], query.sort) if len(rows) > len(shown) else None
        start = cursor_of(shown[0], query.sort) if shown else None
        return {"items": self._several(shown), "next": following, "start": start}

    @endpoint("GET", "/shapes", query=SortedQuery, answer=Shapes, summary="Shapes of pictures", tags=TAGS)
    def shapes(self, query: SortedQuery) -> dict[str, Any]:
        return {"ratios": self._gallery.index.shapes(query.filters(), sort=query.sort)}

    @endpoint("GET", "/count", query=FilterQuery, answer=PictureCount, summary="Count pictures", tags=TAGS)
    def count(self, query: FilterQuery) -> PictureCount:
        return PictureCount(count=self._gallery.index.count(query.filters()))

    @endpoint("GET", "/suggestions", answer=Suggestions, summary="What searches may name", tags=TAGS)
    def suggestions(self) -> Suggestions:
        return self._gallery.index.suggestions()

    @endpoint("GET", "/<id>", answer=PictureDetails, errors=(404,), summary="One picture", tags=TAGS)
    def get(self, id: str) -> PictureDetails:
        row = found(self._gallery, id)
        return answers.details(row, self._loras([row]), self._gallery.file(row))

    @endpoint(
        "PATCH", "/<id>", body=PictureChange, answer=Picture, errors=(404,), summary="Change one", tags=TAGS
    )
    def change(self, id: str, body: PictureChange) -> Picture:
        row = found(self._gallery, id)
        self._set([row.id], body)
        return self._one(row.id)

    @endpoint("PATCH", "/", body=SelectionChange, answer=PictureCount, summary="Change several", tags=TAGS)
    def change_several(self, body: SelectionChange) -> PictureCount:
        return PictureCount(count=self._set(body.ids, body))

    @endpoint("POST", "/<id>/trash", answer=Picture, errors=(404,), summary="Throw a picture away", tags=TAGS)
    def throw_away(self, id: str) -> Picture:
        """It gets another id in the trash; `restore` takes the old one, too."""
        return self._one(self._gallery.trash.throw_away(found(self._gallery, id)))

    @endpoint(
        "POST", "/<id>/restore", answer=Picture, errors=(404,), summary="Take a picture back", tags=TAGS
    )
    def take_back(self, id: str) -> Picture:
        """Where its name was taken meanwhile, it gets another name and id."""
        return self._one(self._gallery.trash.take_back(found(self._gallery, id)))

    @endpoint("POST", "/trash", body=Selection, answer=PicturePage, summary="Throw several away", tags=TAGS)
    def throw_several_away(self, body: Selection) -> dict[str, Any]:
        """Those that are gone already are left out of the answer."""
        return self._moved(body, self._gallery.trash.throw_away)

    @endpoint("POST", "/restore", body=Selection, answer=PicturePage, summary="Take several back", tags=TAGS)
    def take_several_back(self, body: Selection) -> dict[str, Any]:
        return self._moved(body, self._gallery.trash.take_back)

    @endpoint("POST", "/trash/empty", answer=PictureCount, summary="Empty the trash for good", tags=TAGS)
    def empty_trash(self) -> PictureCount:
        return PictureCount(count=self._gallery.trash.empty())

    def _moved(self, body: Selection, move: Any) -> dict[str, Any]:
        from sfumato.errors import BadInput

        ids = []
        for id in dict.fromkeys(body.ids):
            row = self._gallery.find(id)
            if row is not None:
                try:
                    ids.append(move(row))
                except BadInput:  # gone: what was wanted has happened
                    continue
        return {"items": self._several(self._gallery.index.get_all(ids)), "next": None}

    def _set(self, ids: list[str], change: PictureChange) -> int:
        values = change.model_dump(include={"favourite", "score"}, exclude_unset=True)
        if values.get("favourite", False) is None:
            del values["favourite"]
        return self._gallery.index.change(ids, **values) if values else 0

    def _one(self, id: str) -> Picture:
        row = found(self._gallery, id)
        return answers.picture(row, self._loras([row]))

    def _several(self, rows: list[Found]) -> list[dict[str, Any]]:
        loras = self._loras(rows)
        return [answers.picture(row, loras).model_dump(mode="json") for row in rows]

    def _loras(self, rows: list[Found]) -> dict[int, list[str]]:
        return self._gallery.index.loras([row.number for row in rows])


class PictureFiles:
    """The files themselves."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    @endpoint("GET", "/<id>/file", query=FileQuery, errors=(404,), media={"image/*": _BYTES},
              summary="A picture's file", tags=TAGS)  # fmt: skip
    def file(self, id: str, query: FileQuery) -> Response:
        row = found(self._gallery, id)
        path = self._gallery.file(row)
        if path is None:
            raise gone(row)
        name = row.original.replace("\\", "/").rpartition("/")[2] if row.original else row.name
        return files.picture_file(path, name, download=query.download, lasting=bool(query.v))

    @endpoint("GET", "/<id>/thumbnail", query=ThumbnailQuery, errors=(404,), media={"image/webp": _BYTES},
              summary="A small picture", tags=TAGS)  # fmt: skip
    def thumbnail(self, id: str, query: ThumbnailQuery) -> Response:
        row = found(self._gallery, id)
        path = self._gallery.file(row)
        if path is None:
            raise gone(row)
        stat = path.stat()
        small, tag = self._gallery.thumbnails.get(path, stat.st_mtime, stat.st_size, int(query.size))
        return files.thumbnail_file(small, tag, lasting=bool(query.v))

    @endpoint("POST", "/archive", body=Selection, errors=(404,), media={"application/zip": _BYTES},
              summary="Several pictures in one ZIP", tags=TAGS)  # fmt: skip
    def archive(self, body: Selection) -> Response:
        """Those whose files are gone are left out."""
        rows = self._gallery.index.get_all(body.ids)
        paths = [path for row in rows if (path := self._gallery.file(row))]
        if not paths:
            raise Refusal(404, "There are no such pictures.")
        return files.archive_file(paths)


def found(gallery: Gallery, id: str) -> Found:
    """Raises `Refusal` 404."""
    row = gallery.find(id) if len(id) == 16 and id.isalnum() and id.isascii() else None
    if row is None:
        raise Refusal(404, f"There is no picture '{id}'.", hint="It may have been deleted for good.")
    return row


def gone(row: Found) -> Refusal:
    return Refusal(404, f"The file '{row.name}' is gone.", hint="It was moved or deleted outside the studio.")
