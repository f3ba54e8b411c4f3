"""What clients tell the server to do at once: interrupt, skip, refresh, let go of models, end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Literal

from sfumato_api_a1111.bodies import json_of
from sfumato_api_a1111.errors import Refusal, json_response
from sfumato_api_a1111.progress import running_job
from sfumato_api_a1111.state import current_api
from sfumato_api_a1111.working import current_user

if TYPE_CHECKING:
    from flask import Response


def interrupt() -> Response:
    _end_early("interrupt")
    return json_response({})


def skip() -> Response:
    _end_early("skip")
    return json_response(None)


def _end_early(how: Literal["skip", "interrupt"]) -> None:
    """Nothing happens where nothing runs; the body does not matter."""
    api = current_api()
    job = running_job(api, current_user())
    if job is None:
        return
    if how == "interrupt":
        api.interrupted = job.id
    else:
        api.skipped = job.id
    if how == "interrupt":
        for further in api.after(job.id):  # before it, lest the next one begins
            api.studio.jobs.cancel(further)
    api.studio.jobs.end_early(job.id, how)


def refresh() -> Response:
    """Folders are looked through anew whenever somebody asks what is in them."""
    return json_response(None)


def unload_checkpoint() -> Response:
    """The process that holds models ends once its work is over, and another one begins without them."""
    current_api().studio.workers.restart("device")
    return json_response({})


def reload_checkpoint() -> Response:
    """The next picture loads it, in the time that reading its header takes."""
    return json_response({})


def get_options() -> Response:
    return json_response(current_api().options.shown())


def set_options() -> Response:
    from flask import request

    from sfumato_api_a1111.errors import of_fields

    changes = json_of(request.get_data())
    if not isinstance(changes, dict):
        kind = "missing" if changes is None else "dict_type"
        message = "Field required" if changes is None else "Input should be a valid dictionary"
        raise of_fields([{"type": kind, "loc": (), "msg": message, "input": changes}])
    current_api().options.put(changes)
    return json_response(None)


def server_kill() -> Response:
    """Ends the server as a signal from the system would; where it is not allowed there is no such route."""
    if not current_api().settings.server_stop:
        raise Refusal(404, "Not Found")
    os.kill(os.getpid(), signal.SIGINT)
    return json_response("Stopping.")


def server_restart() -> Response:
    if not current_api().settings.server_stop:
        raise Refusal(404, "Not Found")
    raise Refusal(501, "Restarting is left to whatever starts the server.")


def not_yet() -> Response:
    raise Refusal(501, "Training and merging by this API are not there yet: use the command 'sfumato'.")
