"""Two pictures under a divider, in Chromium."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.ui_web.browser.static_stage import StaticStage, png

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    pictures = {"before": png(100, 80, "#ff0000"), "after": png(400, 320, "#0000ff")}
    element = '<sf-compare before="/before" after="/after"></sf-compare>'
    with StaticStage(element, "compare/compare.js", ("compare",), pictures).shown(chromium) as page:
        page.evaluate(
            """async () => {
                await customElements.whenDefined("sf-compare");
                await Promise.all(Array.from(document.images, (picture) => picture.decode()));
            }"""
        )
        settle(page)
        yield page


def settle(page: Page) -> None:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def divider(page: Page) -> Locator:
    return page.get_by_role("slider")


def box(page: Page, picture: str) -> tuple[float, float, float, float]:
    """Where a picture is seen: left, top, width, height."""
    left, top, width, height = page.evaluate(
        """(name) => {
            const box = document.querySelector(`${name} img`).getBoundingClientRect();
            return [box.left, box.top, box.width, box.height];
        }""",
        picture,
    )
    return left, top, width, height


def colour_at(page: Page, share: float) -> tuple[int, ...]:
    """What is seen at that share of the stage's width, below its middle."""
    stage = page.locator(".compare-stage").bounding_box()
    assert stage
    seen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    x, y = stage["x"] + share * stage["width"], stage["y"] + 0.7 * stage["height"]
    return tuple(int(value) for value in seen[round(y), round(x)])


def test_before_lies_left_of_the_divider_and_after_right_of_it(page: Page) -> None:
    assert colour_at(page, 0.4) == RED
    assert colour_at(page, 0.6) == BLUE


@pytest.mark.parametrize(
    ("key", "expected"), [("ArrowLeft", 48), ("ArrowRight", 52), ("PageUp", 60), ("Home", 0), ("End", 100)]
)
def test_keys_move_the_divider_and_its_value_is_told(page: Page, key: str, expected: int) -> None:
    divider(page).focus()
    page.keyboard.press(key)
    settle(page)
    expect(divider(page)).to_have_attribute("aria-valuenow", str(expected))
    assert colour_at(page, 0.46) == (BLUE if expected < 46 else RED)


def test_the_divider_stops_at_the_ends(page: Page) -> None:
    divider(page).focus()
    page.keyboard.press("End")
    page.keyboard.press("PageUp")
    expect(divider(page)).to_have_attribute("aria-valuenow", "100")


def test_the_divider_follows_the_pointer(page: Page) -> None:
    stage = page.locator(".compare-stage").bounding_box()
    assert stage
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + 50)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 4, stage["y"] + 60, steps=4)
    page.mouse.up()
    settle(page)
    expect(divider(page)).to_have_attribute("aria-valuenow", "25")


def test_pictures_of_different_sizes_lie_on_each_other(page: Page) -> None:
    assert box(page, ".compare-first") == pytest.approx(box(page, ".compare-second"))


def test_zooming_and_moving_hold_for_both(page: Page) -> None:
    stage = page.locator(".compare-stage").bounding_box()
    assert stage
    before = box(page, ".compare-first")
    page.mouse.move(stage["x"] + 300, stage["y"] + 200)
    page.mouse.wheel(0, -600)
    settle(page)
    page.mouse.down()
    page.mouse.move(stage["x"] + 350, stage["y"] + 230, steps=4)
    page.mouse.up()
    settle(page)
    after = box(page, ".compare-first")
    assert after[2] > 2 * before[2]
    assert after == pytest.approx(box(page, ".compare-second"))
    expect(divider(page)).to_have_attribute("aria-valuenow", "50")


def test_swapping_exchanges_the_pictures(page: Page) -> None:
    page.get_by_role("button", name="Swap").click()
    page.evaluate("Promise.all(Array.from(document.images, (picture) => picture.decode()))")
    settle(page)
    assert colour_at(page, 0.4) == BLUE
    assert colour_at(page, 0.6) == RED


def test_beside_each_other_both_are_seen_whole(page: Page) -> None:
    page.get_by_role("button", name="Beside").click()
    settle(page)
    first, second = box(page, ".compare-first"), box(page, ".compare-second")
    stage = page.locator(".compare-stage").bounding_box()
    assert stage
    middle = stage["x"] + stage["width"] / 2
    assert first[0] + first[2] <= middle <= second[0]
    assert first[2:] == pytest.approx(second[2:])
    expect(divider(page)).to_be_hidden()
