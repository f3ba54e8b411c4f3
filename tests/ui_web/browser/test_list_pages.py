"""The pages of lists in Chromium: queue, models, plugins, settings and system as people use them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sfumato.events import EventBus, PhaseMemory, WorkMeasured
from sfumato.listeners import listen
from sfumato.memory import MemorySnapshot
from sfumato.memory_log import MemoryLog
from sfumato.studio import Studio

from ..conftest import LiveServer


@pytest.fixture
def settings(settings: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Without the gallery, which queues work of its own whenever there is something to look at."""
    (tmp_path / "settings.toml").write_text('[plugins]\ndisabled = ["gallery"]\n')
    return settings


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A page of the studio; errors of its scripts fail the test."""
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def submit(studio: Studio, *prompts: str) -> list[str]:
    return [studio.jobs.submit("generate", {"prompt": prompt}).id for prompt in prompts]


def waiting(studio: Studio) -> list[str]:
    return [str(job.request["prompt"]) for job in studio.jobs.waiting()]


def test_waiting_jobs_are_reordered_by_keys(page: Page, studio: Studio) -> None:
    submit(studio, "one", "two", "three")
    page.goto("/queue/")
    grip = page.get_by_role("button", name="Move “three”, now in place 3")
    grip.focus()
    for key in ("Space", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator(".queue-announcement")).to_have_text("Place 1 of 3.")
    with page.expect_response("**/move"):
        page.keyboard.press("Space")
    assert waiting(studio) == ["three", "one", "two"]
    expect(page.get_by_role("button", name="Move “three”, now in place 1")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert waiting(studio) == ["three", "one", "two"]


def test_a_waiting_job_is_dragged_to_another_place(page: Page, studio: Studio) -> None:
    submit(studio, "one", "two", "three")
    page.goto("/queue/")
    grip = page.get_by_role("button", name="Move “one”, now in place 1").bounding_box()
    last = page.locator(".waiting-job").last.bounding_box()
    assert grip
    assert last
    page.mouse.move(grip["x"] + 5, grip["y"] + 5)
    page.mouse.down()
    page.mouse.move(grip["x"] + 5, last["y"] + last["height"] - 2, steps=5)
    with page.expect_response("**/move"):
        page.mouse.up()
    assert waiting(studio) == ["two", "three", "one"]


def test_a_job_submitted_elsewhere_appears_and_a_cancelled_one_goes_to_the_history(
    page: Page, studio: Studio
) -> None:
    page.goto("/queue/")
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    page.wait_for_timeout(300)  # the socket opens
    submit(studio, "a pear")
    expect(page.locator(".waiting-job")).to_have_count(1)
    page.get_by_role("button", name="Cancel “a pear”").click()
    expect(page.locator(".waiting-job")).to_have_count(0)
    row = page.locator(".history-job")
    expect(row).to_contain_text("Cancelled")
    row.get_by_role("button", name="Try “a pear” again").click()
    expect(page.locator(".waiting-job")).to_have_count(1)


def test_all_that_wait_are_cancelled_once_it_is_confirmed(page: Page, studio: Studio) -> None:
    submit(studio, "one", "two")
    page.goto("/queue/")
    page.get_by_role("button", name="Cancel all that wait").click()
    page.get_by_role("button", name="Keep them").click()
    assert waiting(studio) == ["one", "two"]
    page.get_by_role("button", name="Cancel all that wait").click()
    page.get_by_role("button", name="Cancel them").click()
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    assert waiting(studio) == []


def test_the_history_is_filtered_by_state_and_words(page: Page, studio: Studio) -> None:
    for job in submit(studio, "an apple", "a pear"):
        studio.jobs.cancel(job)
    page.goto("/queue/")
    expect(page.locator(".history-job")).to_have_count(2)
    page.get_by_label("Search the history").fill("pear")
    expect(page.locator(".history-job")).to_have_count(1)
    page.get_by_label("Search the history").fill("")
    page.locator("select[name=state]").select_option("failed")
    expect(page.locator(".history-job")).to_have_count(0)
    expect(page.get_by_text("No job has been done yet")).to_be_visible()


def test_the_history_is_searched_on_the_server_and_keeps_what_was_opened(page: Page, studio: Studio) -> None:
    for job in submit(studio, "an old pear", *(f"apple {number}" for number in range(34))):
        studio.jobs.cancel(job)
    page.goto("/queue/")
    rows = page.locator(".history-job")
    expect(rows).to_have_count(30)
    page.get_by_label("Search the history").fill("PEAR")
    expect(rows).to_have_count(1)  # one that was not listed yet
    page.get_by_label("Search the history").fill("")
    page.get_by_role("button", name="Show more", exact=True).click()
    expect(rows).to_have_count(35)
    rows.last.get_by_role("button", name="Try").focus()
    studio.jobs.cancel(submit(studio, "one more")[0])
    expect(rows).to_have_count(36)
    expect(rows.last.get_by_role("button", name="Try")).to_be_focused()


def test_of_a_long_queue_the_next_jobs_are_shown_and_the_last_of_them_moves_before_the_rest(
    page: Page, studio: Studio
) -> None:
    jobs = submit(studio, *(f"apple {number}" for number in range(103)))
    page.goto("/queue/")
    rows = page.locator(".waiting-job")
    expect(rows).to_have_count(100)
    expect(page.locator(".queue-summary")).to_contain_text("103 wait")
    rows.nth(98).get_by_role("button", name="Move").focus()
    for key in ("Space", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator(".queue-announcement")).to_have_text("Place 100 of 103.")
    with page.expect_response("**/move"):
        page.keyboard.press("Space")
    assert [job.id for job in studio.jobs.waiting()][98:101] == [jobs[99], jobs[98], jobs[100]]
    page.get_by_role("button", name="Show more (3 are not shown)").click()
    expect(rows).to_have_count(103)
    rows.nth(50).get_by_role("combobox").focus()
    studio.jobs.cancel(jobs[0])
    expect(rows).to_have_count(102)
    expect(rows.nth(49).get_by_role("combobox")).to_be_focused()


def test_a_setting_is_kept_undone_and_refused(page: Page, tmp_path: Path) -> None:
    page.goto("/settings/")
    row = page.locator('[data-key="engine.keep_models"]')
    expect(row).to_contain_text("Default")
    number = row.locator("input")
    number.fill("3")
    number.press("Tab")
    expect(row).to_contain_text("From the settings file")
    assert "keep_models = 3" in (tmp_path / "settings.toml").read_text()
    number.fill("-1")
    number.press("Tab")
    expect(row.get_by_role("alert")).not_to_be_empty()
    row.get_by_role("button", name="Back to the default").click()
    expect(row).to_contain_text("Default")
    assert "keep_models" not in (tmp_path / "settings.toml").read_text()


def test_settings_are_searched_by_key_and_description(page: Page) -> None:
    page.goto("/settings/")
    page.get_by_label("Search settings").fill("upload limit")
    expect(page.locator(".setting:visible")).to_have_count(1)
    expect(page.locator(".setting:visible")).to_have_attribute("data-key", "web.upload_megabytes")
    page.get_by_label("Search settings").fill("zzzz")
    expect(page.get_by_text("No setting is called so.")).to_be_visible()


def test_a_plugin_is_switched_off_after_a_question_and_on_again(page: Page, tmp_path: Path) -> None:
    page.goto("/plugins/")
    switch = page.get_by_label("Use the plugin grids")
    switch.click()
    page.get_by_role("button", name="Cancel").click()
    expect(switch).to_be_checked()
    switch.click()
    page.get_by_role("button", name="Switch off").click()
    expect(page.locator('[data-name="grids"]')).to_contain_text("off after a restart")
    expect(page.get_by_text("A change waits for a restart.")).to_be_visible()
    assert "grids" in (tmp_path / "settings.toml").read_text()
    switch.click()
    expect(page.get_by_text("A change waits for a restart.")).to_be_hidden()


def test_models_are_searched_and_handed_to_generate(page: Page) -> None:
    page.goto("/models/")
    card = page.get_by_role("article", name="emoji")
    expect(card).to_be_visible()
    page.get_by_label("Search models").fill("nothing like it")
    expect(card).to_be_hidden()
    page.get_by_label("Search models").fill("EMO")
    card.get_by_role("button", name="Details of emoji").click()
    expect(page.get_by_role("dialog")).to_contain_text("SHA-256")
    page.keyboard.press("Escape")
    page.route(
        "**/generate/", lambda route: route.fulfill(body="<title>Generate</title>", content_type="text/html")
    )
    card.get_by_role("button", name="Use emoji").click()
    page.wait_for_url("**/generate/")
    kept = page.evaluate("localStorage.getItem('sfumato:local:generate.incoming')")
    assert kept == '{"request":{"model":"emoji"}}'


def test_tabs_of_models_are_walked_by_keys_and_loras_matched(page: Page) -> None:
    page.goto("/models/")
    page.get_by_role("tab", name="Checkpoints").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="LoRAs")).to_be_focused()
    expect(page.get_by_role("article", name="All Blue")).to_be_visible()
    page.get_by_label("Fits").select_option("emoji")
    expect(page.get_by_role("article", name="All Blue")).to_contain_text("fits")


def test_an_empty_tab_says_where_files_go(page: Page, tmp_path: Path) -> None:
    page.goto("/models/#embeddings")
    expect(page.locator(".models-empty")).to_contain_text(str(tmp_path / "models" / "embeddings"))


def test_memory_is_drawn_read_off_by_keys_and_shown_as_a_table(page: Page, studio: Studio) -> None:
    log, now = MemoryLog(studio.database), time.time()
    for second in range(60):
        log.add(
            MemorySnapshot(at=now - 60 + second, total=2**34, available=2**33, process=2**30, process_id=7)
        )
    page.goto("/system/")
    chart = page.get_by_role("img", name="Main memory")
    told = "In use on this machine: 8 GB now, 8 GB at most. Worker process: 1 GB now, 1 GB at most."
    expect(chart).to_have_attribute("aria-label", f"Main memory. {told} Arrow keys read a moment off.")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chart-readout")).to_contain_text("Worker process 1 GB")
    page.get_by_role("button", name="As a table").click()
    expect(page.get_by_role("region", name="Main memory")).to_contain_text("1 GB")


def test_peaks_of_a_request_are_drawn_over_time(page: Page, studio: Studio) -> None:
    events = EventBus()
    listen(events, studio)
    for peak in (4 * 2**30, 5 * 2**30):
        phases = (PhaseMemory(phase="sampling", predicted=6 * 2**30, peak=peak),)
        told = {"fingerprint": "f1", "description": "emoji, 64x64, 4 steps", "device": "cuda"}
        events.emit(WorkMeasured(task="generate", plan="whole", phases=phases, seconds=2.0, **told))
    page.goto("/system/")
    chart = page.get_by_role("img", name="emoji, 64x64, 4 steps (cuda)")
    expect(chart).to_have_attribute("aria-label", re.compile(r"sampling: .*5 GB now, .*5 GB at most"))
    assert chart.locator(".chart-line").count() == 1
    expect(page.locator(".system-trend-facts")).to_contain_text("drawn 2 times")
    expect(page.locator(".system-trend-facts")).to_contain_text("6 GB foretold, 5 GB taken")
    page.locator(".system-trends-as-table").click()
    expect(page.get_by_role("region", name="emoji, 64x64, 4 steps (cuda)")).to_contain_text("4 GB")
