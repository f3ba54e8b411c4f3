"""How a first visit feels: paints, blocking and bytes of the pages, as Lighthouse counts them.

Each page is opened in a fresh profile of Chromium, nothing cached, on a desk and as on a phone (390 pixels
wide, the processor four times slower). The browser itself tells first and largest contentful paint, total
blocking time (what long tasks took beyond 50 ms) and layout shift; bytes are those that went over the wire.
Another program's page stands beside them where its address is given (`--peer http://127.0.0.1:7861/`).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.server import free_port, serving, sfumato_command
from benchmarks.timing import Report

PAGES = ("generate/", "gallery/", "queue/", "settings/")
DEVICES: dict[str, tuple[int, dict[str, Any]]] = {
    "desk": (1, {"viewport": {"width": 1440, "height": 900}}),
    "phone": (4, {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}),
}
"""By name: how much slower the processor is made, and the browser's context."""
WATCH = """
window.seen = {largest: 0, shift: 0, blocking: 0};
const watch = (type, note) => new PerformanceObserver(list => list.getEntries().forEach(note))
    .observe({type, buffered: true});
watch("largest-contentful-paint", entry => { seen.largest = entry.startTime; });
watch("layout-shift", entry => { if (!entry.hadRecentInput) seen.shift += entry.value; });
watch("longtask", entry => { seen.blocking += Math.max(entry.duration - 50, 0); });
"""
READ = """() => ({
    ...seen,
    first: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
    loaded: performance.getEntriesByType("navigation")[0].loadEventEnd,
})"""
SETTLED = 1500
"""Milliseconds after the load event until which what happens counts."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round: for trying the benchmark out")
    parser.add_argument("--peer", metavar="URL", help="a page of another program that is running")
    options = parser.parse_args()
    rounds = 1 if options.quick else 5
    report = Report(
        "page_load",
        "First visits to the pages",
        "the first page under 200 kB",
        {"rounds": rounds, "phone": "processor 4 times slower"},
    )
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder, port = Path(name), free_port()
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        with serving(sfumato_command(folder, port), port, "/generate/"):
            addresses = {page: f"http://127.0.0.1:{port}/{page}" for page in PAGES}
            if options.peer:
                addresses["peer"] = options.peer
            for page, address in addresses.items():
                for device in DEVICES:
                    visits = [_visit(browser, address, device) for _ in range(rounds + 1)][1:]
                    medians = {key: statistics.median(visit[key] for visit in visits) for key in visits[0]}
                    report.rows.append({"page": page, "device": device, **medians})
        browser.close()
    report.finish()


def _visit(browser: Browser, address: str, device: str) -> dict[str, float]:
    slower, settings = DEVICES[device]
    context = browser.new_context(**settings)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    received: list[int] = []
    session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    page.add_init_script(WATCH)
    page.goto(address, wait_until="load")
    page.wait_for_timeout(SETTLED)
    found = page.evaluate(READ)
    context.close()
    return {
        "first paint ms": round(found["first"]),
        "largest paint ms": round(found["largest"]),
        "loaded ms": round(found["loaded"]),
        "blocking ms": round(found["blocking"]),
        "layout shift": round(found["shift"], 3),
        "requests": len(received),
        "kB": round(sum(received) / 1000, 1),
    }


if __name__ == "__main__":
    main()
