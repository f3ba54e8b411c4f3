"""Languages: who decides, what is translated, and what a plugin's own catalogue does and cannot do."""

from __future__ import annotations

import gzip
import textwrap
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from flask.testing import FlaskClient
from flask_babel import force_locale, gettext

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.i18n import Languages, file_size, fits

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
PLUGIN = """
from pathlib import Path

SFUMATO_API = "1.0"

from sfumato.hookspecs import hookimpl


def build(studio):
    from flask import Blueprint, render_template_string
    from flask_babel import gettext

    page = Blueprint("kites", __name__)

    @page.get("/")
    def root():
        told = gettext("Let the kite fly 100 % of the time.")
        return f"{told}|{gettext('Queue')}|{gettext('Wind %(speed)s', speed=3)}"

    return page


@hookimpl
def register_pages(pages):
    pages.add("kites", "kites_dist:build", label="Kites", summary="Only 50 % of them fly.")


@hookimpl
def register_catalogues(catalogues):
    catalogues.add("a_kites", Path(__file__).parent / "kite_texts", label="Kites")
"""
PLUGIN_TEXTS = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"

msgid "Kites"
msgstr "Drachen"

msgid "Only 50 % of them fly."
msgstr "Nur 50 % davon fliegen."

msgid "Let the kite fly 100 % of the time."
msgstr "Den Drachen 100 % der Zeit steigen lassen."

msgid "Queue"
msgstr "Schlange im Gras"

msgid "Wind %(speed)s"
msgstr "Wind %(tempo)s"
"""


@pytest.fixture
def client_with_kites(
    tmp_path: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> FlaskClient:
    """A studio into which pip has put a plugin with a page and a German catalogue."""
    site = tmp_path / "site"
    info = site / "kites_dist-1.0.dist-info"
    texts = site / "kite_texts" / "de" / "LC_MESSAGES"
    for folder in (info, texts):
        folder.mkdir(parents=True)
    (site / "kites_dist.py").write_text(PLUGIN, "utf-8")
    (texts / "messages.po").write_text(textwrap.dedent(PLUGIN_TEXTS), "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kites-dist\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[sfumato]\nkites = kites_dist\n", "utf-8")
    monkeypatch.syspath_prepend(str(site))
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=settings))
    return create_app(studio).test_client()


def text(client: FlaskClient, address: str = "/queue/", **options: object) -> str:
    return client.get(address, **options).get_data(as_text=True)  # type: ignore[arg-type]


def test_the_browsers_language_is_spoken_and_named(client: FlaskClient) -> None:
    page = text(client, headers=GERMAN)
    assert '<html lang="de">' in page
    assert '<h1 class="page-title">Warteschlange</h1>' in page
    assert '<option value="de" lang="de" selected>Deutsch</option>' in page


@pytest.mark.parametrize("wanted", ["", "en-GB,en;q=0.9,de;q=0.8", "fr,it;q=0.5", "*", "de;q=broken,,"])
def test_other_browsers_get_english(client: FlaskClient, wanted: str) -> None:
    assert '<html lang="en">' in text(client, headers={"Accept-Language": wanted})


def test_the_choice_made_on_the_page_counts_more_than_the_browser(client: FlaskClient) -> None:
    client.set_cookie("sfumato_language", "en")
    assert '<html lang="en">' in text(client, headers=GERMAN)
    assert '<html lang="de">' in text(client, "/queue/?lang=de")


@pytest.mark.parametrize("unknown", ["../../etc/passwd", "xx", "", "de\x00", "DE"])
def test_a_language_that_there_is_not_is_no_error(client: FlaskClient, unknown: str) -> None:
    assert '<html lang="en">' in text(client, "/queue/", query_string={"lang": unknown})
    assert client.get("/static-i18n/xx.json").status_code == 404


@pytest.mark.parametrize("locale", ["de", "de-DE", "de_AT"])
def test_the_setting_decides_for_who_has_not_chosen(
    settings: dict[str, str], locale: str, request: pytest.FixtureRequest
) -> None:
    settings["web.locale"] = locale
    client: FlaskClient = request.getfixturevalue("client")
    assert '<html lang="de">' in text(client, headers={"Accept-Language": "en"})


def test_what_programs_are_told_stays_english(client: FlaskClient) -> None:
    problem = client.get("/api/v1/jobs/9", headers=GERMAN).get_json()
    assert problem == client.get("/api/v1/jobs/9", headers={"Accept-Language": "en"}).get_json()


def test_errors_that_people_see_are_translated(client: FlaskClient) -> None:
    assert "Diese Seite gibt es nicht." in text(client, "/nowhere", headers=GERMAN)
    refused = client.get("/queue/", headers={**GERMAN, "Host": ""})
    assert "Die Anfrage nennt keinen Host." in refused.get_data(as_text=True)


def test_english_pages_read_no_catalogue(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = Path.open

    def noted(self: Path, *arguments: object, **named: object) -> object:
        opened.append(self.suffix)
        return original(self, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", noted)
    assert 'name="texts"' not in text(client)
    assert ".po" not in opened
    text(client, headers=GERMAN)
    assert opened.count(".po") == 2
    text(client, headers=GERMAN)
    assert opened.count(".po") == 2, "read once, not with each page"


def test_texts_for_scripts_are_light_and_kept_by_the_browser(client: FlaskClient) -> None:
    page = text(client, headers=GERMAN)
    address = page.split('<meta name="texts" content="')[1].split('"')[0]
    answer = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "immutable" in answer.headers["Cache-Control"]
    assert len(answer.data) < 40_000
    plain = client.get(address)
    assert gzip.decompress(answer.data) == plain.data
    assert plain.get_json()["messages"]["Queue"] == "Warteschlange"
    assert "immutable" not in client.get(address.split("?")[0]).headers["Cache-Control"]


def test_a_view_may_speak_another_language_for_a_while(client: FlaskClient) -> None:
    with client.application.test_request_context("/?lang=de"):
        german = gettext("Queue")
        with force_locale("en"):
            assert gettext("Queue") == "Queue"
        assert gettext("Queue") == german == "Warteschlange"


def test_settings_are_found_by_words_of_either_language(client: FlaskClient) -> None:
    page = text(client, "/settings/", headers=GERMAN)
    row = page[page.index('data-key="general.output_folder"') :][:1500]
    assert "output folder" in row
    assert "ausgabeordner" in row


def test_a_plugins_catalogue_is_used_for_its_page_and_its_label(client_with_kites: FlaskClient) -> None:
    page = text(client_with_kites, headers=GERMAN)
    assert "<span>Drachen</span>" in page
    assert 'title="Nur 50 % davon fliegen."' in page
    assert text(client_with_kites, "/kites/", headers=GERMAN).startswith("Den Drachen 100 % der Zeit")
    assert text(client_with_kites, "/kites/").startswith("Let the kite fly 100 % of the time.|Queue|Wind 3")


def test_a_plugins_catalogue_changes_no_text_of_the_shell_and_breaks_no_page(
    client_with_kites: FlaskClient,
) -> None:
    """Its wrong placeholder would raise `KeyError` where the page is made."""
    assert text(client_with_kites, "/kites/", headers=GERMAN).endswith("|Warteschlange|Wind 3")


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [(0, "0 B", "0 B"), (1536, "1.5 KB", "1,5 KB"), (1234 * 2**40, "1,234 TB", "1.234 TB")],
)
def test_sizes_are_written_as_the_language_does(
    client: FlaskClient, count: int, english: str, german: str
) -> None:
    with client.application.test_request_context("/?lang=en"):
        assert file_size(count) == english
    with client.application.test_request_context("/?lang=de"):
        assert file_size(count) == german


def test_a_damaged_catalogue_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    for name, content in (("a", b'msgid "\xff\xfe'), ("b", b'msgid "Queue"\nmsgstr "Reihe"\n')):
        folder = tmp_path / name / "de" / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "messages.po").write_bytes(content)
    german = Languages([tmp_path / "a", tmp_path / "b"]).language("de")
    assert german.translations.ugettext("Queue") == "Reihe"


def test_an_edited_catalogue_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "de" / "LC_MESSAGES" / "messages.po"
    file.parent.mkdir(parents=True)
    file.write_text('msgid "Queue"\nmsgstr "Reihe"\n', "utf-8")
    languages = Languages([tmp_path])
    before = languages.language("de")
    file.write_text('msgid "Queue"\nmsgstr "Schlange"\n', "utf-8")
    after = languages.language("de")
    assert after.translations.ugettext("Queue") == "Schlange"
    assert after.version != before.version


@pytest.mark.parametrize(
    ("english", "translation", "fit"),
    [
        ("{n} of {all}", "{all}, davon {n}", True),
        ("{n} of {all}", "{n} von {alle}", False),
        ("Wind %(speed)s", "Wind", False),
        ("No wind", "Kein %(speed)s", False),
        ("50 % off", "50 Prozent weg", False),
        (("{n} kite", "{n} kites"), ("Ein Drachen", "{n} Drachen"), True),
        (("{n} kite", "{n} kites"), ("Ein Drachen", "{m} Drachen"), False),
    ],
)
def test_translations_have_the_placeholders_of_their_text(
    english: str | tuple[str, str], translation: str | tuple[str, str], fit: bool
) -> None:
    assert fits(Message(english, translation)) is fit
