"""The routes below ``/internal``: progress as A1111's own page asks for it, by its name for the work."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from flask import Blueprint

from sfumato.errors import UnknownName
from sfumato.jobs import Job
from sfumato_api_a1111 import errors
from sfumato_api_a1111.blueprint import Routes
from sfumato_api_a1111.bodies import Fields, body_of
from sfumato_api_a1111.errors import json_response
from sfumato_api_a1111.state import Api, attach, current_api
from sfumato_api_a1111.working import current_user

if TYPE_CHECKING:
    from flask import Response

    from sfumato.studio import Studio


class ProgressFields(Fields):
    """The body of ``/internal/progress``."""

    id_task: str | None = None
    id_live_preview: int | None = -1
    live_preview: bool | None = True


def build(studio: Studio) -> Blueprint:
    """The blueprint of the internal API."""
    blueprint = Blueprint("a1111_internal", __name__)
    attach(blueprint, studio)
    errors.add_to(blueprint)
    routes = Routes(blueprint)
    routes.add("/ping", ping, "GET")
    routes.add("/pending-tasks", pending_tasks, "GET")
    routes.add("/progress", progress, "POST")
    routes.close()
    return blueprint


def ping() -> Response:
    return json_response({})


def pending_tasks() -> Response:
    api = current_api()
    jobs = {name: _job(api, name) for name in api.tasks()}
    waiting = [name for name, job in jobs.items() if job is not None and job.state == "queued"]
    return json_response({"size": len(waiting), "tasks": waiting})


def progress() -> Response:
    fields = body_of(ProgressFields).filled()
    api = current_api()
    job = _job(api, fields.id_task or "")
    state = job.state if job else ""
    done = job.progress if job and job.state == "running" else None
    live, number = _preview(api, job, fields)
    return json_response(
        {
            "active": state == "running",
            "queued": state == "queued",
            "completed": bool(job and job.is_over),
            "progress": done.fraction if done else None,
            "eta": done.seconds_left if done else None,
            "live_preview": live,
            "id_live_preview": number,
            "textinfo": (done.phase or None) if done else "In queue..." if state == "queued" else None,
        }
    )


def _job(api: Api, task: str) -> Job | None:
    identity = api.job_of_task(task)
    try:
        job = api.studio.jobs.get(identity) if identity else None
    except UnknownName:
        return None
    return job if job and job.user == current_user() else None


def _preview(api: Api, job: Job | None, fields: ProgressFields) -> tuple[str | None, int]:
    known = -1 if fields.id_live_preview is None else fields.id_live_preview
    newest = job.progress.preview if job and job.progress and job.state == "running" else 0
    if job is None or not fields.live_preview or not newest or newest == known:
        return None, known
    preview = api.studio.jobs.preview(job.id)
    if preview is None or not preview.pictures:
        return None, known
    return f"data:image/png;base64,{base64.b64encode(preview.pictures[0]).decode()}", preview.number
