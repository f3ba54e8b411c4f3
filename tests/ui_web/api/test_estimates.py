"""What work comes to, told by what was done before."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import update

from sfumato.jobs.store import end, keep_events, row_of
from sfumato.jobs.tables import JOBS
from sfumato.studio import Studio


def test_an_estimate_goes_by_work_of_before_without_the_loading_of_its_model(
    studio: Studio, client: FlaskClient
) -> None:
    done = studio.jobs.submit("generate", {"prompt": "a", "steps": 4})
    moments = {"job_changed": 1000.0, "loading": 1010.0, "sampling": 1098.0}
    with studio.jobs.store.writing() as connection:
        row = row_of(connection, done.id)
        for phase in ("loading", "sampling"):
            keep_events(connection, row.id, row.owner, [(moments[phase], "phase_started", {"phase": phase})])
        end(connection, row, "done")
        times = {"attempt": 1, "started": moments["job_changed"], "ended": 1100.0}
        connection.execute(update(JOBS).where(JOBS.c.id == row.id).values(times))

    def seconds(*requests: dict[str, object]) -> float | None:
        jobs = [{"kind": "generate", "request": request} for request in requests]
        return client.post("/api/v1/jobs/estimate", json={"jobs": jobs}).json["seconds"]

    assert seconds({"steps": 4, "count": 3}) == 6.0
    assert seconds({"steps": 8}, {"steps": 4, "seed": 7, "prompt": "b"}) == 6.0
    assert seconds({"steps": 4, "width": 128, "height": 128}) == 8.0
    other = {"jobs": [{"kind": "upscale", "request": {"images": []}}]}
    assert client.post("/api/v1/jobs/estimate", json=other).json["seconds"] is None
