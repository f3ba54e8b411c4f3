"""Languages in Chromium: every text can be translated, German fits, and choosing another loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from playwright.sync_api import Browser, Page, expect

import sfumato_gallery
import sfumato_ui_web
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.server import StudioServer

from ..conftest import LiveServer

PAGES = ("generate", "gallery", "upscale", "models", "queue", "plugins", "settings", "system")
PLUGIN = """
from pathlib import Path
SFUMATO_API = "1.0"
from sfumato.hookspecs import hookimpl

@hookimpl
def register_catalogues(catalogues):
    catalogues.add("marks", Path(__file__).parent / "marks", label="Marks")
"""
NAMES = ", ".join(
    [
        *("code", "pre", "time", "svg", "kbd", "[lang]:not(html)", ".brand", ".mono", ".chip", ".badge"),
        *(".plugin-title h2", ".model-card", ".number-unit", ".models-match option", ".system-disk td"),
        *(".setting-control select", ".system-version-list", ".settings-file", ".token-count"),
    ]
)
"""Where names, paths and other people's words stand."""
UNMARKED = """(names) => {
    const bare = (text) => text && /\\p{L}{2}/u.test(text.replace(/⟦.*?⟧/gsu, ""));
    const found = [];
    for (const element of document.body.querySelectorAll("*")) {
        if (element.closest(names) || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) continue;
        const texts = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data);
        const told = ["aria-label", "title", "alt"].map((name) => element.getAttribute(name));
        if (!element.closest("sf-choice")) told.push(element.getAttribute("placeholder"));
        found.push(...[...texts, ...told].filter(bare).map((text) => `${element.tagName} ${text.trim()}`));
    }
    return [...new Set(found)];
}"""


def write_marks(folder: Path) -> None:
    """A catalogue of Esperanto's code, in which each text of ours stands between ⟦ and ⟧."""
    marked = Catalog(locale="eo")
    for package in (sfumato_ui_web, sfumato_gallery):
        template = Path(str(package.__file__)).parent / "translations" / "messages.pot"
        with template.open("rb") as stream:
            for message in read_po(stream):
                if message.id:
                    forms = message.id if isinstance(message.id, tuple) else (message.id,)
                    strings = tuple(f"⟦{form}⟧" for form in forms)
                    marked.add(message.id, strings if len(strings) > 1 else strings[0])
    folder.mkdir(parents=True)
    with (folder / "messages.po").open("wb") as stream:
        write_po(stream, marked)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A studio with a plugin whose catalogue marks every text; nothing was made in it, and no workers run."""
    folder = tmp_path_factory.mktemp("languages")
    info = folder / "marks_dist-1.0.dist-info"
    info.mkdir()
    (folder / "marks_dist.py").write_text(PLUGIN, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: marks-dist\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[sfumato]\nmarks = marks_dist\n", "utf-8")
    write_marks(folder / "marks" / "eo" / "LC_MESSAGES")
    overrides = {
        "general.output_folder": str(folder / "pictures"),
        "general.data_folder": str(folder / "data"),
        "general.model_folders": str(folder / "models"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        studio = Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))
        app = create_app(studio)
    live = StudioServer(app, "127.0.0.1", 0, 4)
    thread = threading.Thread(target=live.run, daemon=True)
    thread.start()
    yield LiveServer(live, studio, app)
    live.stop()
    thread.join(10)
    studio.jobs.close()
    studio.database.close()


@pytest.fixture
def marked(chromium: Browser, server: LiveServer) -> Iterator[Page]:
    """A page of a browser that has chosen the marked language."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "sfumato_language", "value": "eo", "url": server.url}])
    yield context.new_page()
    context.close()


@pytest.fixture
def german(chromium: Browser, server: LiveServer) -> Iterator[Page]:
    """A page of a German's phone."""
    phone = {"width": 390, "height": 844}
    context = chromium.new_context(viewport=phone, locale="de-DE", has_touch=True, is_mobile=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_every_text_of_a_page_can_be_translated(marked: Page, server: LiveServer, name: str) -> None:
    marked.goto(f"{server.url}/{name}/", wait_until="networkidle")
    assert marked.evaluate(UNMARKED, NAMES) == []


def test_the_list_of_shortcuts_can_be_translated(marked: Page, server: LiveServer) -> None:
    marked.goto(f"{server.url}/generate/", wait_until="networkidle")
    marked.keyboard.press("?")
    expect(marked.get_by_role("dialog")).to_contain_text("⟦Keyboard shortcuts⟧")
    assert marked.evaluate(UNMARKED, NAMES) == []


def test_german_is_no_wider_than_a_phone(german: Page, server: LiveServer) -> None:
    widths = {}
    for name in PAGES:
        german.goto(f"{server.url}/{name}/", wait_until="load")
        assert german.locator("html").get_attribute("lang") == "de"
        widths[name] = german.evaluate("document.documentElement.scrollWidth")
    assert max(widths.values()) <= 390, widths


def test_another_language_is_chosen_in_the_midst_of_typing_and_nothing_is_lost(
    german: Page, server: LiveServer
) -> None:
    german.goto(f"{server.url}/generate/", wait_until="networkidle")
    german.get_by_role("textbox", name="Prompt", exact=True).fill("ein roter Apfel")
    german.get_by_label("Sprache").select_option("en")
    expect(german.get_by_role("button", name="Generate", exact=True)).to_be_visible()
    assert german.locator("html").get_attribute("lang") == "en"
    expect(german.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("ein roter Apfel")


def test_scripts_count_and_write_numbers_as_the_language_does(german: Page, server: LiveServer) -> None:
    german.goto(f"{server.url}/queue/", wait_until="load")
    told = german.evaluate(
        """async () => {
            const {fileSize, tn} = await import(document.querySelector("link[href*='js/i18n']").href);
            const jobs = (n) => tn("{n} job in the queue", "{n} jobs in the queue", n);
            return [jobs(0), jobs(1), jobs(1234), fileSize(1536)];
        }"""
    )
    assert told == [
        "0 Aufträge in der Warteschlange",
        "1 Auftrag in der Warteschlange",
        "1.234 Aufträge in der Warteschlange",
        "1,5 KB",
    ]
