"""Scrolling ten thousand pictures, beside a page that holds them all; and searching in many rows.

Times between frames while a page is scrolled from top to bottom, and while it is scrolled as a hand does, by
a fifth of a window a frame; what its main thread works for each; and how long it takes from the last frame
until all pictures in the window are shown, a minute at most. No thumbnail is made before it is asked for. The
page beside ours is what one writes first: an <img loading=lazy> for each picture, with the same thumbnails
from the same server.
"""

from __future__ import annotations

import argparse
import html
import os
import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.timing import Report, Timing, take_turns, time_call

NAIVE = "all <img loading=lazy>"
SCAN = "every row looked at"
SEARCHES = {"a rare word": "w137x", "two frequent words": "lake morning", "nothing found": "zebra"}
WORDS = ("lake", "morning", "fox", "snow", "portrait", "robot", "river", "glass", "lantern", "garden")
_SCROLL = """async ([frames, whole]) => {
  const times = [];
  const height = whole ? document.documentElement.scrollHeight - innerHeight : (frames * innerHeight) / 5;
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 1; frame <= frames; frame += 1) {
    scrollTo(0, (height * frame) / frames);
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  times.sort((one, other) => one - other);
  const nodes = document.querySelectorAll("*").length;
  return {p50: times[frames >> 1], p99: times[Math.floor(frames * 0.99)], nodes};
}"""
_SHOWN = """async (selector) => {
  const begun = performance.now();
  const inWindow = (element) => {
    const box = element.getBoundingClientRect();
    return box.height && box.bottom > 0 && box.top < innerHeight;
  };
  for (;;) {
    const images = [...document.querySelectorAll(selector)].filter(inWindow);
    const shown = images.length > 20 && images.every((image) => image.complete && image.naturalWidth);
    if (shown || performance.now() - begun > 60000) return performance.now() - begun;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}"""
WAYS = {"by a fifth of a window a frame": False, "from top to bottom": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few pictures: for trying the benchmark out")
    quick = parser.parse_args().quick
    total, frames, rows = (500, 30, (1000,)) if quick else (10_000, 300, (10_000, 100_000))
    report = Report(
        "gallery_scroll",
        "Gallery",
        "no frame in a hundred above 33 ms while 10,000 pictures scroll; a search of 100,000 in 0.1 s",
        {"pictures": total, "frames": frames, "window": "1440x900"},
    )
    with tempfile.TemporaryDirectory() as folder:
        scroll(report, Path(folder), total, frames)
    for count in rows:
        with tempfile.TemporaryDirectory() as folder:
            search(report, Path(folder), count, rounds=2 if quick else 7)
    report.finish()


def scroll(report: Report, home: Path, total: int, frames: int) -> None:
    """Frame times of both pages, and what is in their documents."""
    from playwright.sync_api import sync_playwright

    with serving(home, total) as address, sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        cases = ((way, *page) for way in WAYS for page in ((NAIVE, "/naive"), ("gallery", "/gallery/")))
        for way, runner, path in cases:
            page = browser.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
            page.goto(address + path)
            page.wait_for_timeout(3000)
            with busy_seconds(page) as busy:
                found = page.evaluate(_SCROLL, [frames, WAYS[way]])
            shown = page.evaluate(_SHOWN, ".tile:not([hidden]) img" if runner == "gallery" else "img")
            report.rows.append(
                {
                    "case": f"scroll {total}, {way}",
                    "runner": runner,
                    "frame ms, median": round(found["p50"], 1),
                    "frame ms, 99 of 100 below": round(found["p99"], 1),
                    "main thread ms a frame": round(1000 * busy[0] / frames, 1),
                    "ms until shown": round(shown),
                    "nodes": found["nodes"],
                }
            )
            page.close()
        browser.close()


@contextmanager
def busy_seconds(page: Any) -> Iterator[list[float]]:
    """CPU time of the page's main thread meanwhile, by the Chrome DevTools Protocol's Performance domain."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    begun = busy()
    taken: list[float] = []
    yield taken
    taken.append(busy() - begun)
    session.detach()


@contextmanager
def serving(home: Path, total: int) -> Iterator[str]:
    """A server of one file under many names; its address."""
    from PIL import Image
    from waitress.server import create_server

    from sfumato import Studio
    from sfumato.settings import Settings
    from sfumato_gallery.index import PictureIndex
    from sfumato_ui_web.app import create_app

    output = home / "pictures"
    output.mkdir()
    Image.effect_mandelbrot((512, 512), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(output / "0.png")
    for number in range(1, total):
        os.link(output / "0.png", output / f"{number}.png")
    overrides = {"general.output_folder": str(output), "general.data_folder": str(home / "data")}
    studio = Studio(Settings.load(file=home / "settings.toml", environ={}, overrides=overrides))
    index = PictureIndex(studio.database)
    index.put([made_up(output / f"{number}.png", number) for number in range(total)])
    app = create_app(studio)
    app.add_url_rule("/naive", "naive", lambda: naive_page(index, total))
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=6)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(10)
    studio.database.close()


def naive_page(index: Any, total: int) -> str:
    from sfumato_gallery.answers import picture
    from sfumato_gallery.filters import Filters

    pictures = (picture(row, {}) for row in index.find(Filters(), limit=total))
    images = "".join(
        f'<img loading=lazy width=200 height=200 src="{html.escape(one.thumbnail)}">' for one in pictures
    )
    return f"<!doctype html><title>All</title><body>{images}"


def made_up(path: Path, number: int) -> Any:
    from sfumato_gallery.records import PictureFacts

    chosen = random.Random(number).sample(WORDS, 4)
    prompt = f"{' '.join(chosen)} w{number % 1000}x, detailed, soft light, 35 mm"
    return PictureFacts(
        path=path, size=1, modified=float(number), width=512, height=512, prompt=prompt, model="harbor"
    )


def search(report: Report, home: Path, rows: int, rounds: int) -> None:
    """The first page and the count of searches, by the full-text index and without."""
    from sfumato.database import Database
    from sfumato_gallery.filters import Filters
    from sfumato_gallery.index import PictureIndex

    database = Database.in_folder(home)
    index, scanning = PictureIndex(database), PictureIndex(database)
    for start in range(0, rows, 5000):
        index.put([made_up(Path(f"/pictures/{n}.png"), n) for n in range(start, min(rows, start + 5000))])
    scanning.__dict__["full_text"] = not index.full_text

    def ask(asked: PictureIndex, q: str) -> Timing:
        return time_call(lambda: (asked.find(Filters(q=q)), asked.count(Filters(q=q))))

    for name, q in SEARCHES.items():
        runners = {SCAN: partial(ask, scanning, q), "gallery": partial(ask, index, q)}
        report.add(f"{name} in {rows} rows", take_turns(runners, rounds), peer=SCAN)
    database.close()


if __name__ == "__main__":
    main()
