"""The page in a browser, with many pictures."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato import Studio
from sfumato.jobs.claiming import claim
from sfumato.jobs.recording import Recorder
from sfumato.settings import Settings
from sfumato_gallery.index import PictureIndex
from sfumato_gallery.records import PictureFacts, picture_id

TOTAL = 10_000
MOST_TILES = 120
SHOWN = """() => {
  const inWindow = (tile) => {
    const box = tile.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  const tiles = [...document.querySelectorAll(".tile:not([hidden])")].filter(inWindow);
  return tiles.length > 20 && tiles.every((tile) => tile.classList.contains("loaded"));
}"""
"""All pictures in the window are shown."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with ten thousand pictures, which are one file under many names."""
    home = tmp_path_factory.mktemp("studio")
    output = home / "pictures"
    output.mkdir()
    Image.new("RGB", (48, 32), "teal").save(output / "0.png")
    for number in range(1, TOTAL):
        os.link(output / "0.png", output / f"{number}.png")
    overrides = {"general.output_folder": str(output), "general.data_folder": str(home / "data")}
    studio = Studio(Settings.load(file=home / "settings.toml", environ={}, overrides=overrides))
    PictureIndex(studio.database).put([made_up(output / f"{number}.png", number) for number in range(TOTAL)])
    yield studio
    studio.jobs.close()
    studio.database.close()


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    from sfumato_ui_web.app import create_app
    from sfumato_ui_web.server import StudioServer

    server = StudioServer(create_app(studio), "127.0.0.1", 0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"{server.url}gallery/"
    server.stop()
    thread.join(10)


def made_up(path: Path, number: int) -> PictureFacts:
    told = {
        "prompt": f"picture {number}, {'fox' if number % 100 == 0 else 'lake'}",
        "width": 48,
        "height": 32,
    }
    return PictureFacts(path=path, size=1, modified=float(number), **told)


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The gallery in a browser of its own; at the end no script may have failed."""
    failures: list[str] = []
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page = context.new_page()
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(address)
    page.wait_for_selector(".tile.loaded")
    yield page
    context.close()
    assert failures == []


def test_ten_thousand_pictures_are_never_in_the_document_at_once(page: Any) -> None:
    assert "10,000" in page.inner_text("#gallery-count")
    bottom = page.evaluate("document.documentElement.scrollHeight")
    assert bottom > 100_000
    for share in (0.3, 0.6, 0.999):
        page.evaluate(f"scrollTo(0, {bottom * share})")
        page.wait_for_function("() => document.querySelectorAll('.tile.loaded').length > 10")
        assert page.locator(".tile").count() <= MOST_TILES
    page.wait_for_selector("[role=option][aria-posinset='10000'][aria-label*='picture 0,']")


def test_flying_over_thousands_asks_for_nothing_until_the_hand_rests(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("""async () => {
      for (let frame = 0; frame < 40; frame += 1) {
        scrollBy(0, 3 * innerHeight);
        await new Promise(requestAnimationFrame);
      }
    }""")
    page.wait_for_function(SHOWN)
    assert sum("cursor=" in url for url in asked) <= 6
    assert sum("thumbnail" in url for url in asked) <= 2 * MOST_TILES


def test_pictures_that_stay_keep_their_tiles_when_one_goes_and_comes_back(page: Any) -> None:
    page.focus("[role=listbox]")
    page.evaluate(
        "document.querySelectorAll('.tile').forEach((tile) => { tile.dataset.before = tile.ariaLabel; })"
    )
    page.keyboard.press("Delete")
    page.wait_for_selector(".toast")
    page.wait_for_function("() => document.querySelector('#gallery-count').textContent.startsWith('9,999')")
    tiles = "[...document.querySelectorAll('.tile:not([hidden])')]"
    kept = f"{tiles}.filter((tile) => tile.dataset.before === tile.ariaLabel)"
    assert page.evaluate(f"{kept}.length") > 20
    assert page.evaluate(f"{kept}.every((tile) => tile.classList.contains('loaded'))")
    page.click(".toast button:has-text('Undo')")
    page.wait_for_function("() => document.querySelector('#gallery-count').textContent.startsWith('10,000')")


def test_new_pictures_come_by_themselves_and_wait_while_one_looks_further_down(
    page: Any, studio: Studio
) -> None:
    index, output = PictureIndex(studio.database), Path(studio.settings.general.output_folder)
    put = [made_up(output / f"{n}.png", n) for n in (0, 1)]
    new = [facts.model_copy(update={"modified": 1e6 + n}) for n, facts in enumerate(put)]
    index.forget([picture_id(facts.path) for facts in put])
    page.reload()
    page.wait_for_function("() => document.querySelector('#gallery-count').textContent.startsWith('9,998')")
    page.wait_for_selector(".tile.loaded")
    index.put(new[:1])
    ended(studio)
    page.wait_for_function("() => document.querySelector('#gallery-count').textContent.startsWith('9,999')")
    page.evaluate("scrollTo(0, 5000)")
    index.put(new[1:])
    ended(studio)
    page.click("#gallery-new:has-text('One new picture')")
    page.wait_for_selector("[role=option][aria-posinset='1'][aria-label*='picture 1,']")


def ended(studio: Studio) -> None:
    """A job ends: pictures may have been made."""
    studio.jobs.submit("index_pictures", {})
    with studio.jobs.store.writing() as connection:
        row = claim(connection, "background", "worker", "")
    assert row is not None
    Recorder(studio.jobs.store, row, studio.jobs.changed).finish("done")


def test_the_place_and_the_search_are_there_again_after_a_reload(page: Any) -> None:
    page.evaluate("scrollTo(0, 50000)")
    page.wait_for_function("() => location.search.includes('at=')")
    before = page.evaluate("scrollY")
    page.reload()
    page.wait_for_selector(".tile.loaded")
    page.wait_for_function(f"() => Math.abs(scrollY - {before}) < 400")
    page.fill("#gallery-q", "fox")
    page.wait_for_function("() => document.querySelector('#gallery-count').textContent.startsWith('100 ')")
    page.go_back()
    page.wait_for_function("() => document.querySelector('#gallery-count').textContent.startsWith('10,000')")


def test_the_keyboard_alone_opens_selects_and_moves(page: Any) -> None:
    page.focus("[role=listbox]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    current = page.get_attribute("[role=listbox]", "aria-activedescendant")
    place = int(page.get_attribute(f"#{current}", "aria-posinset"))
    assert place > 2
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.viewer[open]")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        f"() => document.querySelector('.viewer-place').textContent.startsWith('{place + 1} ')"
    )
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.viewer:not([open])", state="attached")
    page.keyboard.press(" ")
    page.wait_for_selector("#gallery-selection:not([hidden])")
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("() => document.querySelector('.selection-count').textContent.startsWith('2 ')")


@pytest.mark.parametrize("width", [1440, 390], ids=["desk", "phone"])
def test_viewer_and_selection_have_no_accessibility_violations(page: Any, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size({"width": width, "height": 844})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.focus("[role=listbox]")
        page.keyboard.press(" ")
        page.wait_for_selector("#gallery-selection:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert Axe().run(page).response["violations"] == []
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog.viewer[open]")
        page.wait_for_function(
            "() => document.querySelector('.viewer-facts').textContent.includes('Created')"
        )
        assert Axe().run(page).response["violations"] == []
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog.viewer:not([open])", state="attached")
