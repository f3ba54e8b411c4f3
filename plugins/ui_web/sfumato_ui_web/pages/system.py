"""The page System: memory, worker processes, health."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, jsonify, render_template, request

from sfumato.machine import machine_memory
from sfumato.memory_log import MemoryLog
from sfumato_ui_web.api.owners import is_local
from sfumato_ui_web.pages.blueprints import page
from sfumato_ui_web.pages.checks import Checks
from sfumato_ui_web.pages.machine import database_size, folders, log_tail, versions

if TYPE_CHECKING:
    from sfumato.studio import Studio

SPANS = (5 * 60, 30 * 60, 2 * 3600, 24 * 3600, 7 * 24 * 3600)
"""Seconds that the chart may show."""
POINTS = 300


def build(studio: Studio) -> Blueprint:
    """Fulfils `sfumato.pages.Page`; worker processes come from the JSON API."""
    blueprint = page("system")
    checks = Checks(studio)

    @blueprint.get("/")
    def root() -> str:
        return render_template(
            "system/page.html",
            versions=versions(),
            folders=list(folders(studio)),
            database=database_size(studio),
            database_kind=studio.database.url.partition(":")[0],
            spans=SPANS,
            has_records="memory_records" in studio.registries.queries,
        )

    @blueprint.get("/memory")
    def memory() -> Response:
        seconds = request.args.get("seconds", default=SPANS[1], type=int)
        span = seconds if seconds in SPANS else SPANS[1]
        now = time.time()
        samples = MemoryLog(studio.database).since(now - span, most=POINTS)
        machine = machine_memory()
        return jsonify(
            {
                "now": now,
                "seconds": span,
                "total": machine.total,
                "available": machine.available,
                "samples": [sample.model_dump(mode="json") for sample in samples],
            }
        )

    @blueprint.get("/log/<lane>")
    def log(lane: str) -> Response:
        if not is_local():  # it may tell of what others draw
            abort(403)
        text = log_tail(studio, lane)
        return abort(404) if text is None else jsonify({"text": text})

    @blueprint.get("/checks")
    def found() -> Response:
        return jsonify(checks.found())

    @blueprint.post("/checks")
    def start() -> tuple[Response, int]:
        checks.start()
        return jsonify(checks.found()), 202

    return blueprint
