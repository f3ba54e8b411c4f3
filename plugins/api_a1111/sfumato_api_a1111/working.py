"""Work that a client waits for: put into the queue, and answered when it is over."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sfumato.errors import SfumatoError
from sfumato.jobs import Job
from sfumato.jobs.queue import Submission
from sfumato_api_a1111.errors import Refusal, failure
from sfumato_api_a1111.state import Api

_LOOK_SECONDS = 5.0
"""How long to wait before looking whether the server ends."""
_LEFT_BEHIND_SECONDS = 86400.0
_ENDING = 503
_FOLDER = "api-pictures"


def current_user() -> str:
    """Who asks."""
    from flask import g

    from sfumato.jobs.records import LOCAL_USER

    user: str = getattr(g, "user", None) or LOCAL_USER
    return user


def submit(api: Api, submissions: Sequence[Submission], task: str | None = None) -> list[Job]:
    """Queue all of them, or none; raises `BadInput` for what cannot be."""
    jobs = api.studio.jobs.submit_all(submissions)
    api.remember_task(task, jobs[0].id)
    api.progress.changed()
    return jobs


def wait_for(api: Api, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """The jobs of one request once they are over, less those that an interruption left undone.

    Raises:
        Refusal: one failed, all were cancelled before anything was made, or the server ends.
    """
    identities = [job.id for job in jobs]
    with api.together(identities):
        over: list[Job] = []
        try:
            for identity in identities:
                over.append(_over(api, identity))
                if not _is_undone(over[-1]):
                    _check(over[-1])
        except Refusal as refusal:
            if refusal.status != _ENDING:
                _cancel(api, identities[len(over) :])
            raise
        finally:
            api.progress.changed()
    made = tuple(job for job in over if not _is_undone(job))
    if not made:
        _check(over[0])
    return made


def _over(api: Api, job: str) -> Job:
    while not (found := api.studio.jobs.wait(job, timeout=_LOOK_SECONDS)).is_over:
        if _is_stopping():
            raise Refusal(_ENDING, "The server is ending; the work goes on when it is started again.")
    return found


def _is_undone(job: Job) -> bool:
    return job.state == "cancelled" and not job.images


def _cancel(api: Api, jobs: Sequence[str]) -> None:
    for job in jobs:
        api.studio.jobs.cancel(job)


def _check(job: Job) -> None:
    if job.state == "done" or (job.state == "cancelled" and job.images):
        return
    problem = job.problem
    if problem is None:
        raise failure(f"The work was {job.state}.", error="Cancelled")
    explained = SfumatoError(problem.what, why=problem.why, hint=problem.hint)
    if problem.error in ("BadInput", "UnknownName"):
        raise Refusal(422, str(explained))
    raise failure(str(explained), error=problem.error or "RuntimeError")


def _is_stopping() -> bool:
    from flask import current_app

    core = current_app.extensions.get("sfumato")
    return core is not None and core.stopping.is_set()


@contextlib.contextmanager
def output_folder(api: Api, *, keeps: bool) -> Iterator[Path | None]:
    """Where the pictures of a request go: None for the usual place; a folder that is removed afterwards for
    a request whose client does not want them saved."""
    if keeps:
        yield None
        return
    import secrets

    home = api.studio.settings.general.data_folder / _FOLDER
    _sweep(home)
    folder = home / secrets.token_hex(8)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder.absolute()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove what a server that was ended left behind."""
    if not home.is_dir():
        return
    for folder in home.iterdir():
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < time.time() - _LEFT_BEHIND_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
