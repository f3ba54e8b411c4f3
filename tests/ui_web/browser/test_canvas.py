"""The canvas that masks are painted on, in Chromium."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page

from tests.ui_web.browser.static_stage import StaticStage, encoded, png

Bytes = NDArray[np.uint8]


class ShowCanvas(Protocol):
    def __call__(
        self, picture: bytes, attributes: str = "", **context: Any
    ) -> AbstractContextManager[Page]: ...


def stage_of(picture: bytes, attributes: str = "") -> StaticStage:
    element = f'<sf-canvas src="/picture" {attributes}></sf-canvas>'
    return StaticStage(element, "canvas/canvas.js", ("canvas",), {"picture": picture})


@pytest.fixture
def show(chromium: Browser) -> ShowCanvas:
    """A page with the canvas on it; it is given time to load its picture by `ready`."""
    return lambda picture, attributes="", **context: stage_of(picture, attributes).shown(chromium, **context)


def ready(page: Page, size: float = 40, softness: float = 0) -> None:
    page.evaluate(
        """async () => {
            await customElements.whenDefined("sf-canvas");
            const canvas = document.querySelector("sf-canvas");
            const loaded = new Promise((done) => canvas.addEventListener("load", done, {once: true}));
            if (!canvas.ready) await loaded;
        }"""
    )
    page.evaluate(
        "(settings) => Object.assign(document.querySelector('sf-canvas'), settings)",
        {"brushSize": size, "softness": softness},
    )
    frames(page)


def frames(page: Page) -> None:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def call(page: Page, what: str) -> Any:
    return page.evaluate(f"document.querySelector('sf-canvas').{what}")


def mask_of(page: Page) -> Bytes:
    """The exported mask, uint8 [h, w]."""
    text = page.evaluate(
        """async () => {
            const blob = await document.querySelector("sf-canvas").maskBlob();
            const bytes = new Uint8Array(await blob.arrayBuffer());
            return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
        }"""
    )
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 1] == pixels[..., 2]).all()
    return pixels[..., 0]


def in_window(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where on the page a point of the picture is seen, by the picture's own box."""
    left, top, width, height, across, down = page.evaluate(
        """() => {
            const picture = document.querySelector(".canvas-picture");
            const {left, top, width, height} = picture.getBoundingClientRect();
            return [left, top, width, height, picture.naturalWidth, picture.naturalHeight];
        }"""
    )
    return left + x * width / across, top + y * height / down


def drag(page: Page, *points: tuple[float, float], button: Any = "left") -> None:
    """A stroke of the mouse through points of the picture."""
    page.mouse.move(*in_window(page, *points[0]))
    page.mouse.down(button=button)
    for point in points[1:]:
        page.mouse.move(*in_window(page, *point))
    page.mouse.up(button=button)
    frames(page)


def disc(shape: tuple[int, int], x: float, y: float, radius: float) -> NDArray[np.bool_]:
    """Pixels whose centres lie within a circle."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.hypot(columns - x, rows - y) <= radius


def capsule(shape: tuple[int, int], ends: tuple[float, float, float, float], radius: float) -> Any:
    """Pixels whose centres lie within a distance of a line, by projection in float64."""
    x0, y0, x1, y1 = ends
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    squared = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = np.clip(((columns - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / squared, 0, 1)
    return np.hypot(columns - x0 - along * (x1 - x0), rows - y0 - along * (y1 - y0)) <= radius


def assert_covers(mask: Bytes, inside: Any, outside: Any) -> None:
    """White within one region, black beyond another; what lies between is the edge."""
    assert (mask[inside] == 255).all()
    assert (mask[~outside] == 0).all()


@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("zooms", [0, 4, -3])
def test_a_dab_covers_the_pixels_of_its_circle_at_any_zoom_and_density(
    show: ShowCanvas, zooms: int, ratio: int
) -> None:
    with show(png(640, 480), device_scale_factor=ratio) as page:
        ready(page, size=40)
        for _ in range(abs(zooms)):
            call(page, f"zoomBy({1.25 if zooms > 0 else 0.8})")
        frames(page)
        drag(page, (321, 243))
        zoom, mask = call(page, "zoom"), mask_of(page)
    error = 1 / zoom  # a press lands on a whole pixel of the screen
    assert_covers(mask, disc(mask.shape, 321, 243, 19.4 - error), disc(mask.shape, 321, 243, 20.6 + error))


def test_the_area_of_a_hard_dab_is_that_of_its_circle(show: ShowCanvas) -> None:
    with show(png(300, 300)) as page:
        ready(page, size=100)
        drag(page, (150, 150))
        mask = mask_of(page)
    assert mask.sum() / 255 == pytest.approx(np.pi * 50**2, rel=0.002)


def test_a_fast_stroke_has_no_gaps(show: ShowCanvas) -> None:
    with show(png(640, 480)) as page:
        ready(page, size=30)
        drag(page, (60, 80), (560, 390))
        mask = mask_of(page)
    ends = (60, 80, 560, 390)
    assert_covers(mask, capsule(mask.shape, ends, 13), capsule(mask.shape, ends, 17))


def test_going_over_a_soft_stroke_again_leaves_it_as_it_is(show: ShowCanvas) -> None:
    with show(png(400, 300)) as page:
        ready(page, size=80, softness=1)
        drag(page, (100, 150), (300, 150))
        once = mask_of(page)
        drag(page, (100, 150), (300, 150))
        twice = mask_of(page)
    profile = once[110:191, 200].astype(int)
    assert (once == twice).all()
    assert (np.diff(profile[:40]) >= 0).all()
    assert (np.diff(profile[41:]) <= 0).all()
    assert len(set(profile)) > 20


def test_the_right_button_and_the_eraser_take_away(show: ShowCanvas) -> None:
    with show(png(400, 300)) as page:
        ready(page, size=60)
        call(page, "fill()")
        drag(page, (100, 100), button="right")
        call(page, "tool = 'eraser'")
        drag(page, (300, 200))
        mask = mask_of(page)
    erased = disc(mask.shape, 100, 100, 28) | disc(mask.shape, 300, 200, 28)
    kept = ~(disc(mask.shape, 100, 100, 32) | disc(mask.shape, 300, 200, 32))
    assert (mask[erased] == 0).all()
    assert (mask[kept] == 255).all()


def test_shift_draws_a_straight_line_from_the_last_place(show: ShowCanvas) -> None:
    with show(png(400, 300)) as page:
        ready(page, size=20)
        drag(page, (50, 50))
        page.keyboard.down("Shift")
        drag(page, (350, 250))
        page.keyboard.up("Shift")
        mask = mask_of(page)
    ends = (50, 50, 350, 250)
    assert_covers(mask, capsule(mask.shape, ends, 8), capsule(mask.shape, ends, 12))


def test_undo_and_redo_restore_every_pixel(show: ShowCanvas) -> None:
    with show(png(500, 300)) as page:
        ready(page, size=50, softness=0.5)
        states = [mask_of(page)]
        drag(page, (100, 100), (300, 200), (420, 90))
        states.append(mask_of(page))
        call(page, "invert()")
        states.append(mask_of(page))
        drag(page, (200, 50), (250, 260), button="right")
        states.append(mask_of(page))
        call(page, "clear()")
        states.append(mask_of(page))
        for before in reversed(states[:-1]):
            page.keyboard.press("Control+z")
            assert (mask_of(page) == before).all()
        assert not call(page, "canUndo")
        for after in states[1:]:
            page.keyboard.press("Control+Shift+z")
            assert (mask_of(page) == after).all()
        assert not call(page, "canRedo")


def test_inverting_exchanges_black_and_white(show: ShowCanvas) -> None:
    with show(png(300, 200)) as page:
        ready(page, size=50, softness=0.7)
        drag(page, (100, 100), (200, 120))
        before = mask_of(page)
        page.get_by_role("button", name="Invert").click()
        after = mask_of(page)
    assert (after == 255 - before).all()


def test_undoing_takes_little_memory_however_much_is_painted(show: ShowCanvas) -> None:
    with show(png(2048, 2048)) as page:
        ready(page, size=400)
        for stroke in range(40):
            drag(
                page,
                (300, 100 + 45 * stroke),
                (1700, 100 + 40 * stroke),
                button="right" if stroke % 2 else "left",
            )
            call(page, "invert()")
        one_dab = call(page, "historyBytes")
        for _ in range(20):
            call(page, "fill()")
            call(page, "clear()")
        held = call(page, "historyBytes")
        assert call(page, "canUndo")
    assert 0 < one_dab <= held <= 24 * 2**20


def test_the_mask_has_the_size_of_a_picture_that_is_not_square(show: ShowCanvas) -> None:
    with show(png(333, 57)) as page:
        ready(page, size=10)
        drag(page, (300, 50))
        mask = mask_of(page)
    assert mask.shape == (57, 333)
    assert mask[50, 300] == 255
    assert mask[5, 5] == 0


def test_a_picture_that_its_camera_turned_is_masked_as_it_is_seen(show: ShowCanvas) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter when shown
    photo = encoded(Image.new("RGB", (400, 200), "#446688"), "JPEG", exif=exif)
    with show(photo) as page:
        ready(page, size=20)
        drag(page, (180, 390))
        mask = mask_of(page)
    assert mask.shape == (400, 200)
    assert mask[390, 180] == 255
    assert mask[:200].max() == 0


def test_a_mask_that_is_given_is_brought_to_size(show: ShowCanvas) -> None:
    given = Image.new("L", (50, 40))
    given.paste(255, (25, 0, 50, 40))
    text = base64.b64encode(encoded(given)).decode()
    with show(png(200, 160)) as page:
        ready(page)
        page.evaluate(
            """async (text) => {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                await document.querySelector("sf-canvas").setMask(new Blob([bytes], {type: "image/png"}));
            }""",
            text,
        )
        mask = mask_of(page)
    assert (mask[:, :96] == 0).all()
    assert (mask[:, 104:] == 255).all()


def wait_until_kept(page: Page, kept: bool) -> None:
    """Until the browser keeps the mask named "test", or keeps it no more."""
    page.evaluate(
        """async (kept) => {
            const {keptMask} = await import("/static/js/canvas/store.js");
            const rest = () => new Promise((done) => setTimeout(done, 20));
            while (Boolean(await keptMask("test")) !== kept) await rest();
        }""",
        kept,
    )


def test_the_mask_is_there_again_after_a_reload(show: ShowCanvas) -> None:
    with show(png(300, 200), 'keep="test"') as page:
        ready(page, size=30)
        drag(page, (100, 100), (180, 60))
        before = mask_of(page)
        wait_until_kept(page, True)
        page.reload()
        ready(page)
        assert (mask_of(page) == before).all()
        call(page, "clear()")
        wait_until_kept(page, False)
        page.reload()
        ready(page)
        assert call(page, "isEmpty()")


def test_painting_after_zooming_and_moving_lands_where_the_picture_is_seen(show: ShowCanvas) -> None:
    with show(png(640, 480), device_scale_factor=2) as page:
        ready(page, size=12)
        page.mouse.move(*in_window(page, 500, 400))
        page.mouse.wheel(0, -900)
        frames(page)
        assert call(page, "zoom") > 2
        start = in_window(page, 500, 400)
        page.mouse.down(button="middle")
        page.mouse.move(start[0] - 60, start[1] - 40)
        page.mouse.up(button="middle")
        frames(page)
        moved = in_window(page, 500, 400)
        drag(page, (520, 420))
        mask = mask_of(page)
    assert moved == pytest.approx((start[0] - 60, start[1] - 40), abs=1)
    assert_covers(mask, disc(mask.shape, 520, 420, 5), disc(mask.shape, 520, 420, 7))


def test_what_is_seen_is_tinted_where_the_mask_is_white(show: ShowCanvas) -> None:
    with show(png(400, 300, "#000000"), device_scale_factor=2) as page:
        ready(page, size=100)
        drag(page, (200, 150))
        page.mouse.move(5, 5)
        frames(page)
        seen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
        points = {place: in_window(page, *place) for place in ((200, 150), (160, 150), (40, 40), (200, 205))}
    light = {place: seen[round(2 * y), round(2 * x)].max() for place, (x, y) in points.items()}
    assert light[200, 150] > 80
    assert light[160, 150] > 80
    assert light[40, 40] == light[200, 205] == 0


def test_the_keyboard_alone_paints(show: ShowCanvas) -> None:
    with show(png(200, 200)) as page:
        ready(page, size=20)
        page.locator(".canvas-stage").focus()
        page.keyboard.press("ArrowLeft")  # the cross-hair begins in the middle
        page.keyboard.down(" ")
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        page.keyboard.up(" ")
        mask = mask_of(page)
        page.keyboard.press("Control+z")
        assert call(page, "isEmpty()")
    ends = (95.5, 100.5, 135.5, 100.5)
    assert_covers(mask, capsule(mask.shape, ends, 9), capsule(mask.shape, ends, 11))


def test_brackets_and_the_wheel_with_ctrl_size_the_brush(show: ShowCanvas) -> None:
    with show(png(200, 200)) as page:
        ready(page, size=40)
        page.locator(".canvas-stage").focus()
        page.keyboard.press("]")
        larger = call(page, "brushSize")
        page.keyboard.press("[")
        page.mouse.move(*in_window(page, 100, 100))
        zoom = call(page, "zoom")
        page.keyboard.down("Control")
        page.mouse.wheel(0, 300)
        page.keyboard.up("Control")
        frames(page)
        assert call(page, "zoom") == zoom
        smaller = call(page, "brushSize")
    assert larger > 40 > smaller


def touches(page: Page, session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    """What fingers do, as Chromium is told by a touch screen."""
    placed = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": placed})
    frames(page)


@pytest.fixture
def touch_page(show: ShowCanvas) -> Iterator[tuple[Page, CDPSession]]:
    with show(png(400, 300), has_touch=True) as page:
        ready(page, size=30)
        yield page, page.context.new_cdp_session(page)


def test_one_finger_paints(touch_page: tuple[Page, CDPSession]) -> None:
    page, session = touch_page
    touches(page, session, "touchStart", in_window(page, 100, 100))
    touches(page, session, "touchMove", in_window(page, 300, 200))
    touches(page, session, "touchEnd")
    mask = mask_of(page)
    ends = (100, 100, 300, 200)
    assert_covers(mask, capsule(mask.shape, ends, 13), capsule(mask.shape, ends, 17))


def test_two_fingers_zoom_and_paint_nothing(touch_page: tuple[Page, CDPSession]) -> None:
    page, session = touch_page
    before = call(page, "zoom")
    near = in_window(page, 180, 150), in_window(page, 220, 150)
    far = in_window(page, 120, 150), in_window(page, 280, 150)
    touches(page, session, "touchStart", near[0])
    touches(page, session, "touchStart", *near)
    touches(page, session, "touchMove", *far)
    touches(page, session, "touchEnd")
    assert call(page, "isEmpty()")
    assert not call(page, "canUndo")
    assert call(page, "zoom") == pytest.approx(4 * before, rel=0.05)
    assert in_window(page, 200, 150) == pytest.approx(
        ((far[0][0] + far[1][0]) / 2, (far[0][1] + far[1][1]) / 2), abs=2
    )


def pointer(page: Page, kind: str, at: tuple[float, float], **fields: Any) -> None:
    """An event of a pointer that the browser has no device for."""
    page.evaluate(
        """([kind, fields]) => {
            const stage = document.querySelector(".canvas-stage");
            stage.setPointerCapture = () => {};
            stage.dispatchEvent(new PointerEvent(kind, {bubbles: true, cancelable: true, ...fields}));
        }""",
        [kind, {"clientX": at[0], "clientY": at[1], "pointerId": 7, "pointerType": "pen", **fields}],
    )
    frames(page)


def test_a_pen_that_presses_harder_paints_broader(show: ShowCanvas) -> None:
    with show(png(400, 300)) as page:
        ready(page, size=80)
        for x, pressure in ((100, 0.25), (300, 1.0)):
            at = in_window(page, x, 150)
            pointer(page, "pointerdown", at, pressure=pressure, buttons=1)
            pointer(page, "pointerup", at)
        mask = mask_of(page)
    assert_covers(
        mask,
        disc(mask.shape, 100, 150, 9) | disc(mask.shape, 300, 150, 39),
        disc(mask.shape, 100, 150, 11) | disc(mask.shape, 300, 150, 41),
    )


def test_a_palm_beside_the_pen_paints_nothing(show: ShowCanvas) -> None:
    with show(png(400, 300)) as page:
        ready(page, size=40)
        palm, pen = in_window(page, 320, 240), in_window(page, 100, 100)
        pointer(page, "pointerdown", palm, pointerType="touch", pointerId=3, buttons=1)
        pointer(page, "pointermove", in_window(page, 330, 250), pointerType="touch", pointerId=3, buttons=1)
        pointer(page, "pointerdown", pen, pressure=1, buttons=1)
        pointer(page, "pointermove", palm, pointerType="touch", pointerId=3, buttons=1)
        pointer(page, "pointerup", pen)
        pointer(page, "pointerdown", palm, pointerType="touch", pointerId=4, buttons=1)
        pointer(page, "pointerup", palm, pointerType="touch", pointerId=4)
        mask = mask_of(page)
    assert_covers(mask, disc(mask.shape, 100, 100, 19), disc(mask.shape, 100, 100, 21))


def test_a_change_is_told_once_for_each_stroke_and_not_for_sliders(show: ShowCanvas) -> None:
    with show(png(300, 200)) as page:
        ready(page, size=20)
        page.evaluate(
            """() => {
                window.told = 0;
                document.querySelector("sf-canvas").addEventListener("change", () => (window.told += 1));
            }"""
        )
        drag(page, (50, 50), (100, 100), (200, 150))
        page.get_by_label("Softness").focus()
        page.keyboard.press("ArrowRight")
        call(page, "invert()")
        assert page.evaluate("window.told") == 2
