"""What is around every page, in Chromium: nothing that its security policy refuses, all by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .conftest import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

READY = "Boolean(customElements.get('sf-queue-badge'))"
PLAIN = "/nothing-here/"
"""The page of an error is the shell with little in it."""

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of playwright
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A page of its own; `page.problems` collects what its console complains of."""
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()
    problems: list[str] = []
    page.problems = problems  # type: ignore[attr-defined]
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()


def test_a_page_loads_without_a_complaint(page: Page) -> None:
    page.goto(PLAIN)
    page.wait_for_function(READY)
    unexpected = [text for text in page.problems if "404" not in text]  # type: ignore[attr-defined]
    assert unexpected == []


def test_the_list_of_shortcuts_opens_by_keyboard_and_gives_the_focus_back(page: Page) -> None:
    page.goto(PLAIN)
    page.wait_for_function(READY)
    page.focus("#theme-button")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.wait_for()
    assert "Go to Generate" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "theme-button"


def test_a_sequence_of_keys_leads_to_a_page_but_not_while_typing(page: Page) -> None:
    page.goto(PLAIN)
    page.wait_for_function(READY)
    page.evaluate("document.querySelector('#content').append(document.createElement('textarea'))")
    page.focus("textarea")
    page.keyboard.type("gq")
    assert page.input_value("textarea") == "gq"
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(1000)  # a sequence begun elsewhere is over
    page.keyboard.type("gq")
    page.wait_for_url("**/queue/")


def test_the_theme_is_chosen_and_stays(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(PLAIN)
    page.wait_for_function(READY)
    page.click("#theme-button")
    page.click("#theme-button")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


def test_the_first_stop_of_the_keyboard_skips_the_navigation(page: Page) -> None:
    page.goto(PLAIN)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_phone_has_a_bar_with_the_rest_under_more(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 720})
    page.goto(PLAIN)
    page.wait_for_function(READY)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.get_by_role("button", name="More").click()
    page.get_by_role("dialog").get_by_role("link", name="Settings").click()
    page.wait_for_url("**/settings/")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_shell_has_no_barrier_that_axe_finds(page: Page, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(PLAIN)
    page.wait_for_function(READY)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()


def test_modules_are_loaded_once_and_kept(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(PLAIN)
    page.wait_for_function(READY)
    modules = [url.partition("?")[0] for url in asked if ".js" in url]
    assert len(modules) == len(set(modules))
