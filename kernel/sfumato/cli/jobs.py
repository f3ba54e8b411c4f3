"""`sfumato jobs`: what waits, runs and is over in the queue of the data folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import only_data_on_stdout, print_facts, print_json, print_table, say
from sfumato.cli.session import Session
from sfumato.errors import BadInput

if TYPE_CHECKING:
    from sfumato.jobs import Job
    from sfumato.jobs.queue import JobQueue

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or enough of its beginning.")]
NEWEST = 200
"""Among so many jobs the beginning of an id is looked for."""

group = typer.Typer(help="List the jobs of the queue, show, queue, cancel or retry one.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="jobs")


@group.callback(invoke_without_command=True)
def jobs(context: typer.Context, as_json: AsJson = False) -> None:
    """List the jobs of the queue, show, queue, cancel or retry one."""
    if context.invoked_subcommand is None:
        list_jobs(context, as_json=as_json)


@group.command("list")
def list_jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    found = _queue(context).list(limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (job.id, job.kind, _state(job), job.user, f"{job.created:%F %T}", job.label[:60]) for job in found
    ]
    print_table(("job", "kind", "state", "user", "created (UTC)", "label"), rows)


@group.command("show")
def show_job(context: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Show a job: how far it is, what it made, why it failed."""
    from sfumato.jobs import JobProblem

    found = _find(_queue(context), job)
    if as_json:
        print_json(found)
        return
    problem = found.problem or JobProblem(what="")
    print_facts(
        [
            ("job", found.id),
            ("kind", found.kind),
            ("label", found.label),
            ("state", _state(found)),
            ("attempts", str(found.attempt)),
            ("request", json.dumps(found.request)),
            ("pictures", "\n".join(str(image.path) for image in found.images)),
            ("warnings", "\n".join(found.warnings)),
            (
                "problem",
                "\n".join(filter(None, (problem.what, problem.why, problem.hint))),
            ),
            ("log", "\n".join(problem.log)),
        ]
    )


@group.command("submit")
def submit_job(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="The kind of work, such as 'generate' or 'upscale'.")],
    request: Annotated[str, typer.Argument(help="What is asked for, as JSON; '-' reads it from stdin.")],
    priority: Annotated[int, typer.Option(help="Higher goes first.")] = 0,
    key: Annotated[str | None, typer.Option(help="Given again, nothing more is queued.")] = None,
) -> None:
    """Queue a job; it is begun when a server runs on this data folder, such as 'sfumato ui'."""
    fields = _fields(sys.stdin.read() if request == "-" else request)
    queue = _queue(context)
    folder = Path(_session(context).studio().settings.general.output_folder)
    job = queue.submit(kind, fields, priority=priority, key=key, output_folder=folder)
    print_json({"job": job.id, "state": job.state})


@group.command("cancel")
def cancel_job(context: typer.Context, job: JobId) -> None:
    """Cancel a job: at once while it waits, between its steps while it runs."""
    queue = _queue(context)
    cancelled = queue.cancel(_find(queue, job).id)
    say(f"Job {cancelled.id} ends between its steps." if cancelled.state == "running" else _told(cancelled))


@group.command("retry")
def retry_job(context: typer.Context, job: JobId) -> None:
    """Queue a job once more that failed, was cancelled or interrupted; its pictures are kept."""
    queue = _queue(context)
    say(_told(queue.retry(_find(queue, job).id)))


def _session(context: typer.Context) -> Session:
    session: Session = context.obj
    return session


def _queue(context: typer.Context) -> JobQueue:
    with only_data_on_stdout():
        return _session(context).studio().jobs


def _find(queue: JobQueue, beginning: str) -> Job:
    """The job with this id, or the only one among the newest whose id begins so."""
    known = [job for job in queue.list(limit=NEWEST) if beginning and job.id.startswith(beginning)]
    if len(known) > 1:
        names = ", ".join(job.id for job in known)
        raise BadInput(f"'{beginning}' is the beginning of several jobs' ids.", hint=f"They are {names}.")
    return known[0] if known else queue.get(beginning)


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise BadInput("The request is not JSON.", why=f"{error}.") from error
    if not isinstance(fields, dict):
        raise BadInput("The request is no JSON object.", hint='Write fields: {"prompt": "a red apple"}.')
    return fields


def _state(job: Job) -> str:
    fraction = job.progress.fraction if job.progress else 0.0
    return f"running, {fraction:.0%}" if job.state == "running" else job.state


def _told(job: Job) -> str:
    return f"Job {job.id} is {job.state}."
