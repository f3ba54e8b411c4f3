"""What every page promises: no errors, readable by everybody, light on the wire, usable on a phone.

Axe (Deque's rules) looks for what breaks WCAG 2.1 AA, in light and dark, on a desk and on a phone.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.server import StudioServer

from ..conftest import LiveServer

PAGES = ("generate", "gallery", "upscale", "models", "queue", "plugins", "settings", "system", "api/v1/docs")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
FIRST_LOAD = 200_000
"""Bytes over the wire that the first page may take."""
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A studio in which some pictures were made, one job failed and some wait; no workers run."""
    import threading

    folder = tmp_path_factory.mktemp("furnished")
    overrides = {
        "general.output_folder": str(folder / "pictures"),
        "general.data_folder": str(folder / "data"),
        "general.model_folders": str(folder / "models"),
    }
    studio = Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))
    studio.generate("a red apple", seed=1, steps=2, count=3, output_folder=folder / "pictures")
    studio.jobs.submit("index_pictures", {})
    for seed in range(3):
        studio.jobs.submit("generate", {"prompt": f"apple {seed}", "seed": seed})
    studio.workers.start()
    for job in studio.jobs.waiting():
        studio.jobs.wait(job.id, 60)
    studio.workers.stop()
    studio.jobs.cancel(studio.jobs.submit("generate", {"prompt": "a pear"}).id)
    studio.jobs.submit("generate", {"prompt": "waits", "seed": 1})
    app = create_app(studio)
    server = StudioServer(app, "127.0.0.1", 0, 4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield LiveServer(server, studio, app)
    server.stop()
    thread.join(10)
    studio.jobs.close()
    studio.database.close()


def opened(chromium: Browser, url: str, problems: list[str], **context: Any) -> Page:
    """A page that is loaded; whatever the browser complains of goes to `problems`."""
    page = chromium.new_context(**context).new_page()
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.goto(url, wait_until="load")
    page.wait_for_timeout(400)
    return page


def violations(page: Page) -> list[str]:
    """What axe finds: rule, and the first elements that break it."""
    script = importlib.resources.files("axe_playwright_python") / "axe.min.js"
    page.evaluate(script.read_text("utf-8"))  # by the debugger: the content-security policy stays as it is
    found = page.evaluate("rules => axe.run({runOnly: {type: 'tag', values: rules}})", RULES)
    return [
        f"{item['id']} ({item['impact']}): " + "; ".join(node["html"][:160] for node in item["nodes"][:3])
        for item in found["violations"]
    ]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", DESK), ("dark", PHONE)])
def test_nothing_on_a_page_breaks_wcag_aa(
    chromium: Browser, furnished: LiveServer, name: str, scheme: str, size: dict[str, int]
) -> None:
    problems: list[str] = []
    page = opened(chromium, f"{furnished.url}/{name}", problems, viewport=size, color_scheme=scheme)
    found = violations(page)
    page.context.close()
    assert not found
    assert not problems


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_a_phone(chromium: Browser, furnished: LiveServer, name: str) -> None:
    page = opened(chromium, f"{furnished.url}/{name}", [], viewport=PHONE, has_touch=True, is_mobile=True)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.context.close()
    assert width <= PHONE["width"]


@pytest.mark.parametrize("name", PAGES)
def test_each_control_can_be_reached_and_named(chromium: Browser, furnished: LiveServer, name: str) -> None:
    """Tab goes through the page and comes to its end; whatever it meets has a name and shows its focus."""
    page = opened(chromium, f"{furnished.url}/{name}", [], viewport=DESK)
    unnamed = []
    for _ in range(25):
        page.keyboard.press("Tab")
        unnamed += page.evaluate(
            """() => {
                const at = document.activeElement;
                if (!at || at === document.body) return [];
                const named = at.labels?.length || at.getAttribute("aria-label") || at.title
                    || at.getAttribute("aria-labelledby") || at.textContent.trim() || at.placeholder;
                return named ? [] : [at.outerHTML.slice(0, 160)];
            }"""
        )
    page.context.close()
    assert not unnamed


def test_the_first_page_is_light(chromium: Browser, furnished: LiveServer) -> None:
    page = chromium.new_context(viewport=DESK).new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[int] = []
    session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    page.goto(furnished.url, wait_until="networkidle")
    page.context.close()
    assert sum(received) < FIRST_LOAD


def test_pages_ask_nobody_else(chromium: Browser, furnished: LiveServer) -> None:
    asked: list[str] = []

    def note(response: Response) -> None:
        asked.append(response.url)

    page = chromium.new_context(viewport=DESK).new_page()
    page.on("response", note)
    for name in PAGES:
        page.goto(f"{furnished.url}/{name}", wait_until="load")
    page.context.close()
    assert asked
    assert not [url for url in asked if not url.startswith((furnished.url, "data:", "blob:"))]


def test_motion_is_left_out_where_it_is_not_wanted(chromium: Browser, furnished: LiveServer) -> None:
    page = chromium.new_context(viewport=DESK, reduced_motion="reduce").new_page()
    page.goto(f"{furnished.url}/generate/")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter(element => {
            const style = getComputedStyle(element);
            return parseFloat(style.transitionDuration) > 0.05 || parseFloat(style.animationDuration) > 0.05;
        }).map(element => element.outerHTML.slice(0, 120))"""
    )
    page.context.close()
    assert not moving


def test_shortcuts_are_listed_on_a_question_mark(chromium: Browser, furnished: LiveServer) -> None:
    page = opened(chromium, f"{furnished.url}/generate/", [], viewport=DESK)
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    dialog.wait_for(state="visible", timeout=5000)
    assert "Ctrl" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden", timeout=5000)
    page.context.close()


def test_the_static_files_hold_no_code_of_others(furnished: LiveServer) -> None:
    folder = Path(str(importlib.resources.files("sfumato_ui_web"))) / "static"
    assert not [path for path in folder.rglob("*") if path.stat().st_size > 80_000]
