"""Servers and pages for the tests in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from ..conftest import LiveServer
from .generate_page import PATIENCE, OpenPage, show
from .serving import serving


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server with its worker processes for the tests of many modules: a model is loaded once."""
    with serving(tmp_path_factory.mktemp("studio")) as live:
        yield live


@pytest.fixture
def studio_server(working: LiveServer) -> Iterator[LiveServer]:
    """At the end nothing of the test is left in the queue."""
    yield working
    jobs = working.studio.jobs
    jobs.cancel_all(states=("queued", "running"))
    for _ in range(600):
        left = jobs.list(states=("queued", "running"), limit=1)
        if not left:
            break
        time.sleep(0.05)
    assert left == []
    while over := jobs.list(limit=100):
        for job in over:
            jobs.remove(job.id)


@pytest.fixture
def open_page(chromium: Browser, studio_server: LiveServer) -> Iterator[OpenPage]:
    """Opens the page in a browser of its own; at the end no script may have failed."""
    failures: list[str] = []
    contexts: list[Any] = []

    def open_one(**options: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: failures.append(str(error)))
        return show(page, studio_server)

    yield open_one
    for context in contexts:
        context.close()
    assert failures == []
