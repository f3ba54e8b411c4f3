"""What every page promises: no errors, readable by everybody, light on the wire, usable on a phone.

Axe (Deque's rules) looks for what breaks WCAG 2.1 AA, in light and dark, on a desk and on a phone. A page is
opened once for each size; what it promises there is looked at one after the other.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.server import StudioServer

from ..conftest import LiveServer

PAGES = ("generate", "gallery", "upscale", "models", "queue", "plugins", "settings", "system", "api/v1/docs")
COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules whose outcome depends on the colour scheme."""
COLOURS_SETTLED = """async () => {
    for (let frames = 0; frames < 3; frames++) await new Promise(requestAnimationFrame);
    await Promise.all(document.getAnimations().map(one => one.finished.catch(() => {})));
}"""
"""Buttons change their colours by a transition, however short."""
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
    for seed in range(3):
        studio.jobs.submit("generate", {"prompt": f"apple {seed}", "seed": seed, "count": 2, "steps": 2})
    studio.workers.start()
    for job in studio.jobs.waiting():
        studio.jobs.wait(job.id, 60)
    studio.jobs.wait(studio.jobs.submit("index_pictures", {}).id, 60)
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


class Visit:
    """One tab of a size, which goes from page to page."""

    def __init__(self, chromium: Browser, url: str, **context: Any) -> None:
        self.page = chromium.new_context(**context).new_page()
        self.url = url
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def open(self, name: str) -> Page:
        """The page, loaded; whatever the browser complains of from now on goes to `problems`."""
        self.problems.clear()
        self.page.emulate_media(color_scheme="light")
        self.page.goto(f"{self.url}/{name}", wait_until="load")
        self.page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
        self.page.wait_for_timeout(150)
        return self.page


@pytest.fixture(scope="module")
def desk(chromium: Browser, furnished: LiveServer) -> Iterator[Visit]:
    visit = Visit(chromium, furnished.url, viewport=DESK, reduced_motion="reduce")
    yield visit
    visit.page.context.close()


@pytest.fixture(scope="module")
def phone(chromium: Browser, furnished: LiveServer) -> Iterator[Visit]:
    visit = Visit(
        chromium, furnished.url, viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    yield visit
    visit.page.context.close()


def violations(page: Page, schemes: tuple[Literal["light", "dark"], ...]) -> list[str]:
    """What axe finds: rule, and the first elements that break it.

    All rules in the first colour scheme, those of colours alone in the others: nothing else depends on them.
    """
    script = importlib.resources.files("axe_playwright_python") / "axe.min.js"
    page.evaluate(script.read_text("utf-8"))  # by the debugger: the content-security policy stays as it is
    broken = []
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(COLOURS_SETTLED)
        only = (
            {"type": "tag", "values": RULES} if scheme == schemes[0] else {"type": "rule", "values": COLOURS}
        )
        found = page.evaluate("only => axe.run({runOnly: only, resultTypes: ['violations']})", only)
        broken += [
            f"{scheme}: {item['id']} ({item['impact']}): "
            + "; ".join(node["html"][:160] for node in item["nodes"][:3])
            for item in found["violations"]
        ]
    return broken


def without_name(page: Page, stops: int) -> list[str]:
    """What Tab meets on its way through the page and nobody can name."""
    unnamed = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        unnamed += page.evaluate(
            """() => {
                const at = document.activeElement;
                if (!at || at === document.body) return [];
                const named = at.labels?.length || at.getAttribute("aria-label") || at.title
                    || at.getAttribute("aria-labelledby") || at.textContent.trim() || at.placeholder
                    || at.querySelector("img[alt]")?.alt;
                return named ? [] : [at.outerHTML.slice(0, 160)];
            }"""
        )
    return unnamed


@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_a_desk_breaks_no_rule_of_wcag_aa_and_tab_meets_named_controls(
    desk: Visit, name: str
) -> None:
    page = desk.open(name)
    assert not violations(page, ("light", "dark"))
    assert not without_name(page, 25)
    assert not desk.problems


@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_a_phone_breaks_no_rule_of_wcag_aa_and_is_no_wider(phone: Visit, name: str) -> None:
    page = phone.open(name)
    assert not violations(page, ("dark",))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not phone.problems


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


def test_shortcuts_are_listed_on_a_question_mark(desk: Visit) -> None:
    page = desk.open("generate/")
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    dialog.wait_for(state="visible", timeout=5000)
    assert "Ctrl" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden", timeout=5000)


def test_the_static_files_hold_no_code_of_others(furnished: LiveServer) -> None:
    folder = Path(str(importlib.resources.files("sfumato_ui_web"))) / "static"
    assert not [path for path in folder.rglob("*") if path.stat().st_size > 80_000]
