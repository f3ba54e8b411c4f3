"""The page Upscale in Chromium, with a real server and the process that does the work."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.ui_web.browser.static_stage import png
from tests.ui_web.conftest import LiveServer, StartServer


@pytest.fixture
def server(start_server: StartServer) -> LiveServer:
    return start_server(workers=True)


@pytest.fixture
def page(chromium: Browser, server: LiveServer) -> Iterator[Page]:
    context = chromium.new_context(accept_downloads=True, locale="en")
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{server.url}/upscale/")
    yield page
    context.close()


def choose(page: Page, folder: Path, *names: str) -> None:
    """Give the page pictures of 24 by 16, no two alike: those count as one."""
    for name, colour in zip(names, ("#aa3030", "#30aa30"), strict=False):
        (folder / name).write_bytes(png(24, 16, colour))
    page.set_input_files("#upscale-files", [folder / name for name in names])
    expect(page.locator("#upscale-sources li")).to_have_count(len(names))


def test_several_pictures_are_enlarged_shown_beside_what_they_were_and_downloaded(
    page: Page, tmp_path: Path
) -> None:
    choose(page, tmp_path, "apple.png", "pear.png")
    page.get_by_label("Resize by", exact=True).fill("2")
    page.get_by_role("button", name="Upscale 2 pictures").click()
    results = page.locator(".upscale-result")
    expect(results).to_have_count(2)
    expect(results.get_by_text(re.compile("48 . 32"))).to_have_count(2, timeout=60_000)
    sizes = page.evaluate(
        """Promise.all(Array.from(document.querySelectorAll("sf-compare img"), async (picture) => {
            await picture.decode();
            return [picture.naturalWidth, picture.naturalHeight];
        }))"""
    )
    assert sizes == [[24, 16], [48, 32]]
    with page.expect_download() as download:
        results.first.get_by_role("link", name="Download").click()
    assert Image.open(io.BytesIO(download.value.path().read_bytes())).size == (48, 32)


def test_what_was_chosen_set_and_done_is_there_after_a_reload(page: Page, tmp_path: Path) -> None:
    choose(page, tmp_path, "apple.png")
    page.get_by_label("Resize by", exact=True).fill("3")
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.locator(".upscale-result").get_by_text(re.compile("72 . 48"))).to_be_visible(timeout=60_000)
    page.reload()
    expect(page.locator("#upscale-sources li")).to_have_count(1)
    expect(page.get_by_label("Resize by", exact=True)).to_have_value("3")
    expect(page.locator(".upscale-result").get_by_text(re.compile("72 . 48"))).to_be_visible()


def test_a_value_out_of_bounds_is_told_and_nothing_is_sent(page: Page, tmp_path: Path) -> None:
    choose(page, tmp_path, "apple.png")
    page.get_by_label("Resize by", exact=True).fill("99")
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.get_by_label("Resize by", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".upscale-result")).to_have_count(0)


def test_pictures_sent_from_another_page_are_chosen(page: Page, server: LiveServer) -> None:
    page.evaluate(
        """async () => {
            const {remember} = await import("/static/js/state.js");
            const url = "/api/v1/jobs/9/pictures/0";
            remember("upscale.incoming", {images: ["picture:0123456789abcdef", "/outputs/pear.png"],
                pictures: [{path: "/outputs/pear.png", url}]});
        }"""
    )
    page.goto(f"{server.url}/upscale/?picture=fedcba9876543210")
    shown = page.locator("#upscale-sources img")
    expect(shown).to_have_count(3)
    kept = page.evaluate("JSON.parse(localStorage['sfumato:local:upscale']).sources")
    assert [(source["path"], source["name"], source.get("url")) for source in kept] == [
        ("picture:fedcba9876543210", "fedcba9876543210", None),
        ("picture:0123456789abcdef", "0123456789abcdef", None),
        ("/outputs/pear.png", "pear.png", "/api/v1/jobs/9/pictures/0"),
    ]
    expect(page.get_by_title("This picture was not kept.")).to_have_count(3)
    page.reload()
    expect(shown).to_have_count(3)  # kept, and not taken in twice
    assert "picture=" not in page.url
