"""From pointer to paint: how long our canvas takes, beside one that draws all its layers for each event.

Chromium shows a picture of 2048 by 2048 on a screen like a tablet's (1024 by 768, two screen pixels for a
CSS pixel), with its main thread slowed down. Strokes go through the browser's own input path at the rate of a
digitiser, whether the page keeps up or not. For each raw event: the time from its stamp to the end of the
frame that painted it, on the main thread; what the compositor and the graphics card do afterwards is not in
it.

A page that cannot keep up gets several events at once and paints fewer frames: CPU time is told for each
frame.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import math
import mimetypes
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import Cell, Report

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "plugins" / "ui_web" / "sfumato_ui_web" / "static"
PEER = Path(__file__).parent / "canvas_peer.html"
PROBE = Path(__file__).parent / "canvas_probe.js"
ORIGIN = "http://localhost"
"""Nothing listens there. Chromium trusts it as it does https, without which it does not give raw events."""
SIDE = 2048
RATE = 120
"""Events a second, as pens and touch screens give them."""
SECONDS = 1.5
"""Length of a stroke."""

OURS = (
    '<!doctype html><html lang="en"><head>'
    + "".join(
        f'<link rel="stylesheet" href="/static/css/{name}.css">'
        for name in ("tokens", "base", "components", "canvas")
    )
    + '<script type="module" src="/static/js/canvas/canvas.js"></script></head>'
    + '<body><sf-canvas class="surface" src="/picture"></sf-canvas></body></html>'
)


@dataclass(frozen=True)
class Runner:
    """A page with a canvas on it.

    Attributes:
        target: Selector of what is painted on.
        prepare: Script that sizes the brush (diameter in pixels of the picture) and ends when it is ready.
    """

    name: str
    html: str
    target: str
    prepare: str


def runners() -> tuple[Runner, Runner]:
    """Ours and the peer."""
    ours = """async (size) => {
        await customElements.whenDefined("sf-canvas");
        const canvas = document.querySelector("sf-canvas");
        const loaded = new Promise((done) => canvas.addEventListener("load", done, {once: true}));
        if (!canvas.ready) await loaded;
        Object.assign(canvas, {brushSize: size, softness: 0.2});
    }"""
    peer = "async (size) => { await window.loaded; window.brushSize = size; }"
    return (
        Runner("sfumato", OURS, ".canvas-stage", ours),
        Runner("all layers each event", PEER.read_text("utf-8"), "canvas", peer),
    )


def picture() -> bytes:
    """A picture with detail everywhere, as a photograph has."""
    from PIL import Image

    noise = Image.effect_noise((SIDE, SIDE), 60)
    shades = Image.radial_gradient("L").resize((SIDE, SIDE))
    file = io.BytesIO()
    Image.merge("RGB", (noise, shades, Image.blend(noise, shades, 0.5))).save(file, "JPEG", quality=90)
    return file.getvalue()


async def measured(browser: Any, runner: Runner, size: int, throttle: float, strokes: int) -> dict[str, Cell]:
    """One page, painted on: percentiles over all events of all strokes."""
    context = await browser.new_context(viewport={"width": 1024, "height": 768}, device_scale_factor=2)
    page = await context.new_page()
    await page.add_init_script(path=PROBE)
    await serve(page, runner.html)
    await page.goto(f"{ORIGIN}/")
    await page.evaluate(runner.prepare, size)
    box = await page.locator(runner.target).bounding_box()
    session = await context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})  # CPU time, whatever else runs
    await session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    await stroke(session, box, 0)  # warms up what is compiled on its way
    await page.evaluate("window.probe.start()")
    before = await task_seconds(session)
    for number in range(strokes):
        await stroke(session, box, number)
    busy = await task_seconds(session) - before
    found = await page.evaluate("window.probe.stop()")
    await context.close()
    return summary(found, busy)


async def serve(page: Any, html: str) -> None:
    """Answer what the page asks for from files: nothing goes over a network."""
    shown = picture()

    async def answer(route: Any) -> None:
        path = route.request.url.removeprefix(ORIGIN).lstrip("/")
        if not path:
            await route.fulfill(body=html, content_type="text/html")
        elif path == "picture":
            await route.fulfill(body=shown, content_type="image/jpeg")
        elif path.startswith("static/"):
            kind = mimetypes.guess_type(path)[0]
            await route.fulfill(body=(STATIC / path.removeprefix("static/")).read_bytes(), content_type=kind)
        else:
            await route.fulfill(status=204)

    await page.route("**/*", answer)


async def stroke(session: Any, box: dict[str, float], number: int) -> None:
    """A winding stroke. Events are sent by the clock, none waits for the one before."""
    centre = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    reach = 0.4 * min(box["width"], box["height"])
    loop = asyncio.get_running_loop()
    begun = loop.time()
    sent = []
    count = round(RATE * SECONDS)
    for i in range(count + 2):
        angle = 2 * math.pi * i / count
        x = centre[0] + reach * math.sin(3 * angle + number)
        y = centre[1] + reach * math.sin(2 * angle)
        kind = "mousePressed" if i == 0 else "mouseReleased" if i == count + 1 else "mouseMoved"
        event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        sent.append(asyncio.create_task(session.send("Input.dispatchMouseEvent", event)))
        await asyncio.sleep(max(0.0, begun + (i + 1) / RATE - loop.time()))
    await asyncio.gather(*sent)
    await asyncio.sleep(0.3)


async def task_seconds(session: Any) -> float:
    """CPU seconds of the page's main thread so far; the slowing down is part of them."""
    answer = await session.send("Performance.getMetrics")
    return next(float(row["value"]) for row in answer["metrics"] if row["name"] == "TaskDuration")


def summary(found: dict[str, Any], busy: float) -> dict[str, Cell]:
    """Percentiles in milliseconds, and the share of the screen's frames (60 a second) that came too late."""
    waits = sorted(found["waits"])
    frames = found["frames"]
    missed = sum(max(0, round(gap * 60 / 1000) - 1) for gap in frames)

    def percentile(share: float) -> float:
        return round(waits[min(len(waits) - 1, int(share * len(waits)))], 1)

    return {
        "events": len(waits),
        "p50 ms": percentile(0.5),
        "p95 ms": percentile(0.95),
        "p99 ms": percentile(0.99),
        "longest ms": round(waits[-1], 1),
        "frames dropped %": round(100 * missed / (len(frames) + missed), 1),
        "frames": found["painted"],
        "CPU ms a frame": round(1000 * busy / found["painted"], 2),
    }


async def run(report: Report, program: str, throttles: list[float], strokes: int) -> None:
    """Fill the report."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        report.setting = {**report.setting, "browser": f"Chromium {browser.version}, no graphics card"}
        for throttle in throttles:
            for size in (64, 400):
                for runner in runners():
                    case = f"brush {size} px, CPU 1/{throttle:g}"
                    row = await measured(browser, runner, size, throttle, strokes)
                    report.rows.append({"case": case, "runner": runner.name, **row})
        await browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--throttle", type=float, nargs="+", default=[4.0, 6.0], help="CPU slowed so often")
    parser.add_argument("--strokes", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="one stroke, one throttle")
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        print("canvas_paint is left out: there is no Chromium.")
        return
    throttles, strokes = ([4.0], 1) if options.quick else (options.throttle, options.strokes)
    report = Report(
        "canvas_paint",
        "From pointer to paint on a picture of 2048 by 2048",
        "95 of 100 events painted within 33 ms (two frames), no frame dropped, at a quarter of this CPU.",
        {
            "events a second": RATE,
            "strokes": strokes,
            "seconds a stroke": SECONDS,
            "screen": "1024 x 768, 2x",
        },
    )
    asyncio.run(run(report, program, throttles, strokes))
    report.finish()


if __name__ == "__main__":
    main()
