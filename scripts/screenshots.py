"""The pictures of the web interface in docs/images: a studio of its own, work to show, and Chromium.

python scripts/screenshots.py               all of them
python scripts/screenshots.py queue phone   these alone
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 240_000
"""Milliseconds."""
LONG = 1000
"""Steps of a job that is to be seen running."""
MOST_BYTES = 150_000

PROMPTS = """"a red apple, a pizza, a cat face, a rocket, a rainbow, a sunflower, a penguin, a snowman, a blue
fish, a green frog, a hamburger, a purple butterfly, a red car, an owl, a strawberry, a house, a
yellow bird, a cactus, a fox face, a sailboat, a pear, a tulip, a mushroom, a panda face, a banana,
a blue balloon, a tiger face, a donut, a green tree, a cherry, a lion face, a bus, a rabbit face, a
cookie, a star, a whale, a purple flower, a lemon, a dog face, a bicycle, a carrot, a turtle, a red
heart, a koala, a watermelon, a train, a crab, a pineapple"""

Shot = Callable[[Page, str], None]
Ask = Callable[..., Any]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*SHOTS, []], metavar="NAME", help=", ".join(SHOTS))
    wanted = parser.parse_args().names or list(SHOTS)
    with tempfile.TemporaryDirectory() as folder, running_studio(Path(folder)) as url, chromium() as browser:
        furnish(url)
        for name in wanted:
            shoot(browser, url, name)
    return 0


@contextmanager
def running_studio(folder: Path) -> Iterator[str]:
    """Its address; nobody's settings count, and nothing of it stays."""
    words = [f"--set=general.{name}_folder={folder / name}" for name in ("output", "data")]
    words += [f"--set=general.model_folders={folder / 'models'}", "ui", "--port=0"]
    program = "from sfumato.cli.program import run; raise SystemExit(run())"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SFUMATO_")}
    environ["SFUMATO_CONFIG"] = str(folder / "settings.toml")
    server = subprocess.Popen(
        [sys.executable, "-c", program, *words], env=environ, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    assert server.stderr is not None
    try:
        yield next(word.rstrip("/") for word in server.stderr.readline().split() if word.startswith("http"))
    finally:
        server.terminate()
        server.communicate(timeout=60)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


def ask(url: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """What the JSON API answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/api/v1{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def submit(url: str, prompt: str, **fields: Any) -> str:
    """The id of a new job."""
    job = ask(url, "/jobs", {"kind": "generate", "request": {"prompt": prompt, **fields}})
    return str(job["id"])


def wait_for(url: str, job: str, *states: str) -> None:
    ends = time.monotonic() + PATIENCE / 1000
    while (found := ask(url, f"/jobs/{job}")["state"]) not in states:
        if time.monotonic() > ends or found == "failed":
            raise SystemExit(f"A job is {found}, and not {' or '.join(states)}.")
        time.sleep(0.3)


def furnish(url: str) -> None:
    """Some pictures and a history."""
    prompts = [" ".join(prompt.split()) for prompt in PROMPTS.split(",")]
    jobs = [submit(url, prompt, seed=7 + index) for index, prompt in enumerate(prompts)]
    for job in jobs:
        wait_for(url, job, "done")


def shoot(browser: Browser, url: str, name: str) -> None:
    """Take one picture of a page and write it."""
    take, theme, size = SHOTS[name]
    scale = 2 if size is PHONE else 1
    context = browser.new_context(viewport=size, color_scheme=theme, device_scale_factor=scale)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    take(page, url)
    page.wait_for_timeout(600)  # pictures that fade in
    write(IMAGES / f"{name}.png", page.screenshot())
    cancel_all(url)
    context.close()


def write(path: Path, png: bytes) -> None:
    """In a palette with dithering, which is hard to see and a third of the size."""
    with Image.open(BytesIO(png)) as picture:
        whole = picture.convert("RGB")
    for colours in (255, 160, 96, 64):
        whole.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            break
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def cancel_all(url: str) -> None:
    ask(url, "/jobs/cancel", {"states": ["queued", "running"]})


def open_generate(page: Page, url: str) -> None:
    page.goto(f"{url}/generate/")
    page.wait_for_selector("#generate[data-ready]")


def generate(page: Page, url: str) -> None:
    """A finished picture, one of four."""
    open_generate(page, url)
    page.fill("#form-prompt", "a blue butterfly on (a yellow background:1.2)")
    page.fill("#form-count", "4")
    page.fill("#form-seed", "21")
    with page.expect_response(lambda answer: answer.status == 201) as made:
        page.click(".generate-button")
    wait_for(url, made.value.json()["id"], "done")
    page.wait_for_selector(".stage-progress", state="hidden")
    page.click(".stage-strip button >> nth=0")
    page.locator("#form-prompt").scroll_into_view_if_needed()
    page.evaluate("document.activeElement.blur()")


def inpaint(page: Page, url: str) -> None:
    """A picture on the canvas with a mask painted on it."""
    generate(page, url)
    page.click("[data-action=paint]")
    page.fill("#form-prompt", "a yellow flower")
    canvas = page.locator(".stage-canvas canvas").first
    canvas.wait_for()
    page.wait_for_timeout(500)
    box = canvas.bounding_box()
    assert box is not None
    middle, height = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle - 120, height - 60)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(middle - 120 + 4 * step, height - 60 + 60 * (step % 6 > 2))
    page.mouse.up()


def gallery(page: Page, url: str) -> None:
    page.goto(f"{url}/gallery/")
    page.wait_for_selector("main img")
    page.wait_for_load_state("networkidle")


def queue(page: Page, url: str) -> None:
    """One job runs, three wait, others are done."""
    prompts = ("a red bird", "a strawberry cake", "a green apple", "a blue house")
    jobs = [submit(url, prompt, steps=LONG, seed=5) for prompt in prompts]
    wait_for(url, jobs[0], "running")
    page.goto(f"{url}/queue/")
    page.wait_for_selector(".running-preview[src^='blob:']")
    page.wait_for_timeout(6000)  # until one sees what it will be


def system(page: Page, url: str) -> None:
    submit(url, "a rainbow", steps=LONG)
    page.goto(f"{url}/system/")
    page.wait_for_selector("main svg text")  # the chart has figures
    page.wait_for_timeout(12_000)  # and more of them


SHOTS: Mapping[str, tuple[Shot, Any, Any]] = {
    "generate": (generate, "dark", DESK),
    "inpaint": (inpaint, "dark", DESK),
    "gallery": (gallery, "dark", DESK),
    "queue": (queue, "light", DESK),
    "system": (system, "light", DESK),
    "phone": (generate, "dark", PHONE),
}
"""How each picture comes to be, in which colours and size."""


if __name__ == "__main__":
    sys.exit(main())
