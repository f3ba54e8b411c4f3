"""Pictures that jobs made and that are gone, and work in the background, on pages of lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sfumato.studio import Studio

from ..conftest import StartServer


@pytest.fixture
def page(chromium: Browser, studio: Studio, start_server: StartServer) -> Iterator[Page]:
    server = start_server(workers=True)
    job = studio.jobs.submit("generate", {"prompt": "an apple", "seed": 1, "count": 2, "steps": 2})
    studio.jobs.submit("index_pictures", {})
    assert studio.jobs.wait(job.id, 60).state == "done"
    context = chromium.new_context(base_url=server.url, viewport={"width": 1200, "height": 900})
    yield context.new_page()
    context.close()


def test_a_picture_that_is_gone_leaves_a_quiet_sign_and_work_in_the_background_is_for_who_asks(
    page: Page, studio: Studio
) -> None:
    (job,) = (job for job in studio.jobs.list() if job.kind == "generate")
    Path(job.images[0].path).unlink()
    page.goto("/queue/")
    pictures = page.locator(f'.history-job[data-id="{job.id}"] img')
    expect(pictures.nth(0)).to_have_attribute("title", "This picture was not kept.")
    expect(pictures.nth(1)).not_to_have_attribute("title", "This picture was not kept.")
    page.wait_for_function("() => [...document.images].every(image => image.complete && image.naturalWidth)")
    kinds = page.locator(".history-job", has_text="Index")
    expect(kinds).to_have_count(0)
    page.get_by_label("Work in the background too").check()
    expect(kinds.first).to_be_visible()
    page.reload()
    expect(kinds.first).to_be_visible()
