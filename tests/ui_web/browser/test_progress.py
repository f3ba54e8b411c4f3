"""What pages show of a running job moves with the job's events, with no need to ask the server."""

from __future__ import annotations

from playwright.sync_api import Browser

from ..conftest import LiveServer

BARS = "sf-running-item progress", "sf-running-job progress"
"""On the page Queue, and beside every page."""


def test_the_bars_of_a_running_job_move_while_its_steps_come_one_after_the_other(
    chromium: Browser, studio_server: LiveServer
) -> None:
    studio_server.studio.jobs.submit("generate", {"prompt": "a red apple", "steps": 1000})
    page = chromium.new_page()
    page.goto(f"{studio_server.url}/queue/")
    for bar in BARS:
        page.wait_for_function("bar => document.querySelector(bar)?.value > 0", arg=bar, timeout=60_000)
        seen = page.eval_on_selector(bar, "bar => bar.value")
        page.wait_for_function(
            "([bar, seen]) => document.querySelector(bar).value > seen + 0.02",
            arg=[bar, seen],
            timeout=15_000,
        )
    page.close()
