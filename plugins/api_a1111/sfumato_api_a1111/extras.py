"""Pictures enlarged and mended: ``extra-single-image``, ``extra-batch-images``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sfumato.errors import UnknownName
from sfumato.jobs.queue import Submission
from sfumato.request import UpscaleRequest
from sfumato.request.schema import checked
from sfumato.upscaling import FoundUpscaler, find_upscaler
from sfumato_api_a1111.bodies import Fields, body_of
from sfumato_api_a1111.errors import failure, json_response
from sfumato_api_a1111.pictures_in import content_of, store
from sfumato_api_a1111.pictures_out import encoded, picture_format
from sfumato_api_a1111.state import Api, current_api
from sfumato_api_a1111.translating import Means, face_restorer
from sfumato_api_a1111.working import current_user, output_folder, submit, wait_for

if TYPE_CHECKING:
    from flask import Response

_MULTIPLE = 8


class ExtrasFields(Fields):
    """What both routes have in common."""

    resize_mode: int | None = Field(default=0, ge=0, le=1)
    show_extras_results: bool | None = True
    gfpgan_visibility: float | None = Field(default=0, ge=0, le=1)
    codeformer_visibility: float | None = Field(default=0, ge=0, le=1)
    codeformer_weight: float | None = Field(default=0, ge=0, le=1)
    upscaling_resize: float | None = Field(default=2, gt=0)
    upscaling_resize_w: int | None = Field(default=512, ge=1)
    upscaling_resize_h: int | None = Field(default=512, ge=1)
    upscaling_crop: bool | None = True
    upscaler_1: str | None = "None"
    upscaler_2: str | None = "None"
    extras_upscaler_2_visibility: float | None = Field(default=0, ge=0, le=1)
    upscale_first: bool | None = False


class SingleFields(ExtrasFields):
    """The body of ``extra-single-image``."""

    image: str = ""


class NamedPicture(Fields):
    """A picture of a batch."""

    data: str
    name: str


class BatchFields(ExtrasFields):
    """The body of ``extra-batch-images``."""

    imageList: list[NamedPicture]


def extra_single_image() -> Response:
    fields = body_of(SingleFields)
    pictures, html = _enlarged(current_api(), fields, [fields.image])
    return json_response({"html_info": html, "image": pictures[0]})


def extra_batch_images() -> Response:
    fields = body_of(BatchFields)
    pictures, html = _enlarged(current_api(), fields, [picture.data for picture in fields.imageList])
    return json_response({"html_info": html, "images": pictures})


def _enlarged(api: Api, asked: ExtrasFields, texts: list[str]) -> tuple[list[str], str]:
    """The pictures in base64, in order, and what was done in HTML."""
    fields = asked.filled()
    options = api.options.values()
    picture_format(options)
    contents = [content_of(text, api) for text in texts]
    requests = [upscale_request(fields, content, Means(api.studio, options), api) for content in contents]
    if not requests:
        return [], html_info(fields, api)
    with output_folder(api, keeps=False) as folder:
        jobs = submit(
            api,
            [
                Submission("upscale", request, user=current_user(), output_folder=folder)
                for request in requests
            ],
        )
        images = [image for job in wait_for(api, jobs) for image in job.images]
        return [encoded(image.path, image.infotext, options) for image in images], html_info(fields, api)


def upscale_request(fields: ExtrasFields, content: bytes, means: Means, api: Api) -> UpscaleRequest:
    """The request that filled fields mean for one picture.

    Raises:
        Refusal: there is no such upscaler, or the picture cannot be read.
        BadInput: a value that our request cannot have.
    """
    from sfumato_pictures.reading import read_size

    path = store(content, api)
    second = fields.upscaler_2 if fields.extras_upscaler_2_visibility else None
    values: dict[str, Any] = {
        "images": (path,),
        "upscaler": _upscaler(fields.upscaler_1, api).name,
        "second_upscaler": _upscaler(second, api).name if second and second != "None" else None,
        "second_visibility": fields.extras_upscaler_2_visibility if second and second != "None" else 0.0,
        **_size(fields, read_size(Path(path))),
        **_faces(fields, means),
    }
    return checked(UpscaleRequest, values)


def _upscaler(name: str | None, api: Api) -> FoundUpscaler:
    try:
        return find_upscaler(name or "None", api.studio.registries, api.studio.library)
    except UnknownName as error:
        raise failure(f"could not find upscaler named {name}", error="AssertionError") from error


def _size(fields: ExtrasFields, size: tuple[int, int]) -> Mapping[str, Any]:
    """A factor gives sides that are whole eights, as A1111 has them."""
    if (fields.upscaler_1 or "None") == "None":
        return {"scale": 1.0}
    if fields.resize_mode:
        width, height = fields.upscaling_resize_w, fields.upscaling_resize_h
        return {"width": width, "height": height, "crop": bool(fields.upscaling_crop)}
    factor = fields.upscaling_resize or 1.0
    width, height = (max(int(side * factor) // _MULTIPLE * _MULTIPLE, _MULTIPLE) for side in size)
    return {"width": width, "height": height, "crop": True}


def _faces(fields: ExtrasFields, means: Means) -> Mapping[str, Any]:
    for name, visibility in (
        ("GFPGAN", fields.gfpgan_visibility),
        ("CodeFormer", fields.codeformer_visibility),
    ):
        found = face_restorer(means, name) if visibility else None
        if found:
            return {
                "face_restorer": found,
                "face_visibility": visibility,
                "faces_last": bool(fields.upscale_first),
            }
    return {}


def html_info(fields: ExtrasFields, api: Api) -> str:
    """What was done, as A1111's page shows it."""
    from html import escape

    name = fields.upscaler_1 or "None"
    if name == "None":
        return "<p></p>"
    told: list[tuple[str, Any]] = []
    if fields.resize_mode:
        told.append(("Postprocess upscale to", f"{fields.upscaling_resize_w}x{fields.upscaling_resize_h}"))
    else:
        told.append(("Postprocess upscale by", f"{fields.upscaling_resize:g}"))
    told.append(("Postprocess upscaler", _upscaler(name, api).label))
    second = fields.upscaler_2
    if second and second != "None" and fields.extras_upscaler_2_visibility:
        told.append(("Postprocess upscaler 2", _upscaler(second, api).label))
    return f"<p>{', '.join(f'{key}: {escape(str(value))}' for key, value in told)}</p>"
