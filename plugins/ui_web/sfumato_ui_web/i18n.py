"""Languages: which one a request wants, and the texts in it.

Catalogues are the ``.po`` files that plugins bring, read and compiled in memory when their language is first
asked for, and again when a file has changed. English needs none: its texts are the keys.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, g, request, url_for
from flask_babel import Babel, Domain, get_locale, gettext
from werkzeug.exceptions import NotFound

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message
    from babel.support import NullTranslations
    from flask import Flask

    from sfumato.studio import Studio

_log = logging.getLogger(__name__)

ENGLISH = "en"
COOKIE = "sfumato_language"
CODE = re.compile(r"[a-z]{2,3}(_[A-Za-z0-9]{2,8})*")
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}|%")
FORMS_TOLD = 200
"""Numbers whose plural form scripts are told; rules of all languages repeat with the last two digits."""
PAGES_ONLY = "form"
"""Where catalogues say that a text is of a form's field: scripts never ask for it."""


@dataclass(frozen=True)
class Language:
    """One language's texts.

    Attributes:
        stamp: Paths and times of the files they come from.
        version: Changes with the texts.
        for_scripts: JSON: messages by English text, and the plural form of the first numbers.
    """

    stamp: tuple[tuple[str, int], ...]
    translations: NullTranslations
    version: str
    for_scripts: bytes

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.for_scripts, 6, mtime=0)


class Languages:
    """The texts of all catalogues.

    Args:
        folders: Each of ``<locale>/LC_MESSAGES/messages.po``; the first that has a text decides it.
        preferred: The locale for who has not chosen; empty follows the browser.
    """

    def __init__(self, folders: Iterable[Path], preferred: str = "") -> None:
        self._folders = tuple(folders)
        self.preferred = preferred
        self._kept: dict[str, Language] = {}
        self._names: dict[str, str] = {ENGLISH: "English"}
        self._lock = threading.Lock()

    def codes(self) -> list[str]:
        """English, then the others."""
        found = {
            file.parent.parent.name
            for folder in self._folders
            for file in folder.glob("*/LC_MESSAGES/messages.po")
        }
        return [ENGLISH, *sorted(code for code in found - {ENGLISH} if CODE.fullmatch(code))]

    def listed(self) -> list[tuple[str, str]]:
        """Codes with the names that each language gives itself."""
        return [(code, self._name(code)) for code in self.codes()]

    def wanted(self) -> str:
        """The language of this request: as chosen, as set for all, as the browser prefers, or English."""
        codes = self.codes()
        if len(codes) == 1:
            return ENGLISH
        for chosen in (request.args.get("lang", ""), request.cookies.get(COOKIE, ""), self.preferred):
            code = chosen.replace("-", "_")
            for known in (code, code.partition("_")[0]):  # who wants de_AT is glad of de
                if known in codes:
                    return known
        tags = {code.replace("_", "-"): code for code in codes}
        return tags.get(request.accept_languages.best_match(list(tags), "en") or "en", ENGLISH)

    def language(self, code: str) -> Language:
        """Raises `KeyError` for one that there is not."""
        if code not in self.codes():
            raise KeyError(code)
        files = [folder / code / "LC_MESSAGES" / "messages.po" for folder in self._folders]
        there = [file for file in files if file.is_file()]
        stamp = tuple((str(file), file.stat().st_mtime_ns) for file in there)
        with self._lock:
            kept = self._kept.get(code)
            if kept is None or kept.stamp != stamp:
                kept = self._kept[code] = _read(code, there, stamp)
            return kept

    def _name(self, code: str) -> str:
        if code not in self._names:
            from babel import Locale, UnknownLocaleError

            try:
                self._names[code] = (Locale.parse(code).get_display_name() or code).capitalize()
            except (UnknownLocaleError, ValueError):
                self._names[code] = code
        return self._names[code]


class CatalogueDomain(Domain):
    """Lets Flask-Babel take its texts from `Languages`."""

    def __init__(self, languages: Languages) -> None:
        super().__init__()
        self._languages = languages

    def get_translations(self) -> Any:
        from babel.support import NullTranslations

        locale = get_locale()
        known: tuple[Any, Any] = g.get("sfumato_texts", (None, None))  # a form asks for a thousand texts
        if known[0] is not locale or known[1] is None:
            code = str(locale or ENGLISH)
            texts = NullTranslations() if code == ENGLISH else self._languages.language(code).translations
            g.sfumato_texts = known = (locale, texts)
        return known[1]


def set_up(app: Flask, studio: Studio) -> None:
    """Let templates, views and scripts translate."""
    catalogues = sorted(studio.registries.catalogues, key=lambda entry: entry.plugin != "ui_web")
    folders = [Path(entry.load()) for entry in catalogues]  # ours first: nobody rewrites the shell
    languages = Languages(folders, studio.settings.web.locale)
    app.extensions["sfumato.languages"] = languages
    babel = Babel(app, default_locale=ENGLISH, locale_selector=languages.wanted)
    babel.domain_instance = CatalogueDomain(languages)
    app.context_processor(lambda: _for_templates(languages))
    app.add_template_filter(translated)
    app.add_template_filter(file_size)

    @app.get("/static-i18n/<code>.json")
    def texts(code: str) -> Response:
        """What scripts translate with."""
        try:
            language = languages.language(code)
        except KeyError:
            raise NotFound from None
        response = Response(language.for_scripts, mimetype="application/json")
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"]:
            response.set_data(language.compressed)
            response.headers["Content-Encoding"] = "gzip"
        known = request.args.get("v") == language.version
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable" if known else "no-cache"
        return response


def translated(text: str) -> str:
    """A text that comes as data, such as a label; here, unlike in `_()`, a percent sign is just that."""
    return gettext(text) if text else ""


def file_size(count: float) -> str:
    """Bytes as people read them, with 1024 to a KB, as the scripts write them."""
    from flask_babel import format_decimal

    units = ["B", "KB", "MB", "GB", "TB"]
    unit = 0
    while count >= 1024 and unit < len(units) - 1:
        count, unit = count / 1024, unit + 1
    return f"{format_decimal(round(count, 1))} {units[unit]}"


def fits(message: Message) -> bool:
    """Whether a translation has the placeholders of its English text: with others, making a page would fail.

    A plural form may leave out what another form has, such as the number in "one picture".
    """
    wanted = [sorted(PLACEHOLDER.findall(text)) for text in _forms(message.id)]
    found = [sorted(PLACEHOLDER.findall(text)) for text in _forms(message.string)]
    if len(wanted) == 1:
        return found == wanted
    known = {placeholder for form in wanted for placeholder in form}
    return all(known.issuperset(form) for form in found)


def is_translated(message: Message) -> bool:
    """Whether there is a text in every form."""
    return bool(message.id) and all(_forms(message.string))


def _forms(text: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """The forms of a text with a number; a text without has one."""
    return tuple(text) if isinstance(text, (list, tuple)) else (text or "",)


def _for_templates(languages: Languages) -> dict[str, Any]:
    code = str(get_locale() or ENGLISH)
    address = ""
    if code != ENGLISH and "texts" in current_app.view_functions:
        address = url_for("texts", code=code, v=languages.language(code).version)
    return {
        "language": code,
        "locale": code.replace("_", "-"),
        "texts_address": address,
        "locales": languages.listed(),
    }


def _read(code: str, files: list[Path], stamp: tuple[tuple[str, int], ...]) -> Language:
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import PoFileError, read_po
    from babel.support import Translations

    whole = Catalog(locale=code)
    for file in files:
        try:
            with file.open("rb") as stream:
                found = read_po(stream, locale=code)
        except (OSError, ValueError, PoFileError) as error:
            _log.warning("The translations in %s cannot be read: %s", file, error)
            continue
        for message in found:
            if message.fuzzy or not is_translated(message) or whole.get(message.id, message.context):
                continue
            if fits(message):
                whole.add(message.id, message.string, list(message.locations), context=message.context)
            else:
                _log.warning("A translation in %s has other placeholders than %r.", file, message.id)
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    for_scripts = _for_scripts(whole)
    return Language(stamp, Translations(compiled), hashlib.sha256(for_scripts).hexdigest()[:10], for_scripts)


def _for_scripts(catalogue: Catalog) -> bytes:
    from gettext import c2py

    messages = {
        message.id[0] if isinstance(message.id, tuple) else message.id: message.string
        for message in catalogue
        if message.id and not message.context and _is_for_scripts(message)
    }
    form_of = c2py(catalogue.plural_expr)
    forms = [form_of(number) for number in range(FORMS_TOLD)]
    return json.dumps({"messages": messages, "forms": forms}, ensure_ascii=False).encode()


def _is_for_scripts(message: Message) -> bool:
    """Unless all places that a catalogue names are templates, Python and forms."""
    places = [place for place, _ in message.locations]
    return not places or any(not place.endswith((".html", ".py", PAGES_ONLY)) for place in places)
