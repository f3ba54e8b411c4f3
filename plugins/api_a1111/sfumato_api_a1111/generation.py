"""txt2img and img2img: a request translated, queued, waited for, and answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.jobs import Job
from sfumato.jobs.queue import Submission
from sfumato.records import ImageRecord
from sfumato.request import GenerationRequest, GridRequest
from sfumato_api_a1111 import infotext_fields
from sfumato_api_a1111.answers import Finished, answer
from sfumato_api_a1111.bodies import body_of, checked
from sfumato_api_a1111.generation_fields import GenerationFields, Img2ImgFields, Txt2ImgFields
from sfumato_api_a1111.img2img_translating import translated_img2img
from sfumato_api_a1111.pictures_out import picture_format
from sfumato_api_a1111.scripts import (
    SoftInpaintingArguments,
    always_on,
    grid_of,
    shown_of_grid,
)
from sfumato_api_a1111.state import Api, current_api
from sfumato_api_a1111.translating import Means, translated
from sfumato_api_a1111.working import current_user, output_folder, submit, wait_for

if TYPE_CHECKING:
    from flask import Response


def txt2img() -> Response:
    return _generate(current_api(), body_of(Txt2ImgFields))


def img2img() -> Response:
    return _generate(current_api(), body_of(Img2ImgFields))


def _generate(api: Api, asked: GenerationFields) -> Response:
    from sfumato_api_a1111.errors import json_response

    asked = infotext_fields.filled_in(asked, api)
    options = api.options.with_overrides(asked.override_settings)
    picture_format(options)
    requests, grid = requests_of(api, asked, options)
    if asked.override_settings and asked.override_settings_restore_afterwards is False:
        api.options.put(asked.override_settings)
    with output_folder(api, keeps=bool(asked.save_images)) as folder:
        jobs = submit(api, _submissions(requests, grid, folder), asked.force_task_id)
        over = wait_for(api, jobs)
        base = _as_queued(requests[0], jobs[0], asked, grid is not None)
        images = tuple(image for job in over for image in images_of(job, asked))
        total = sum(request.image_total for request in requests)
        return json_response(answer(Finished(asked, options, base, over, images, total)))


def requests_of(
    api: Api, asked: GenerationFields, options: dict[str, Any]
) -> tuple[list[GenerationRequest], GridRequest | None]:
    """What a body means, all of it checked; a grid where a script is selected.

    Raises:
        Refusal: a name or picture that there is not.
        BadInput: a value that our request cannot have.
    """
    is_img2img = isinstance(asked, Img2ImgFields)
    changes, soft = always_on(asked, is_img2img=is_img2img)
    fields = checked(type(asked), {**asked.model_dump(exclude_unset=True), **changes})
    requests = _translated(api, fields, Means(api.studio, options), soft)
    if not asked.script_name:
        return requests, None
    grid = grid_of(requests[0], asked.script_name, asked.script_args or [], is_img2img=is_img2img)
    return requests[:1], grid


def _translated(
    api: Api, fields: GenerationFields, means: Means, soft: SoftInpaintingArguments | None
) -> list[GenerationRequest]:
    if isinstance(fields, Img2ImgFields):
        return translated_img2img(fields, means, api, soft)
    return [translated(fields, means)]


def _submissions(
    requests: Sequence[GenerationRequest], grid: GridRequest | None, folder: Path | None
) -> list[Submission]:
    work: list[tuple[str, GenerationRequest | GridRequest]] = (
        [("grid", grid)] if grid is not None else [("generate", request) for request in requests]
    )
    label = requests[0].prompt[:200]
    return [
        Submission(kind, request, user=current_user(), label=label, output_folder=folder)
        for kind, request in work
    ]


def _as_queued(
    request: GenerationRequest, job: Job, asked: GenerationFields, is_grid: bool
) -> GenerationRequest:
    """With the seeds that the queue has drawn; several start pictures are a batch."""
    values = job.request.get("base", {}) if is_grid else job.request
    drawn = {name: values[name] for name in ("seed", "variation_seed") if name in values}
    starts = len(asked.init_images or ()) if isinstance(asked, Img2ImgFields) else 0
    size = starts if starts > 1 else request.batch_size
    return request.model_copy(update={**drawn, "batch_size": size})


def images_of(job: Job, asked: GenerationFields) -> tuple[ImageRecord, ...]:
    """The pictures of a job in order; a grid's sheet comes first, as A1111 has it."""
    if job.kind != "grid" or not job.result:
        return job.images
    pictures, further = shown_of_grid(asked.script_name or "", asked.script_args or [])
    *parts, whole = job.result.get("sheets") or (None,)
    cells = [image for cell in job.result.get("cells", ()) for image in cell.get("images", ())]
    found = cells if whole is None else [whole, *(parts if further else ()), *(cells if pictures else ())]
    return tuple(ImageRecord.model_validate_json(json.dumps(image)) for image in found)
