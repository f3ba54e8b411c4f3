"""Collects the texts of each plugin that brings a catalogue, and brings its translations up to date.

    python scripts/translations.py           writes messages.pot and every messages.po
    python scripts/translations.py --check   writes nothing; fails when messages.pot lacks a text or
                                             a translation has other placeholders, and
                                             lists what is not translated

Texts are what `_()`, `gettext()`, `ngettext()` are given in Python and templates, `t()` and `tn()` in
scripts, and what forms and lists show of schemas and registries. The English text is the key.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from sfumato.registries import Registries
from sfumato.registry import Entry
from sfumato.request.schema import load_model
from sfumato.settings import KERNEL_SECTIONS
from sfumato.studio import Studio
from sfumato_ui_web.forms import UNGROUPED, FormField, fields_of, option_fields
from sfumato_ui_web.i18n import PAGES_ONLY, fits, is_translated
from sfumato_ui_web.pages.setting_rows import description_of

ROOT = Path(__file__).parent.parent
CORE = "ui_web"
"""The catalogue that has what the kernel shows, and all plugins without a catalogue of their own."""
CALL = re.compile(r'(?<![\w.$])(tn?)\(\s*"((?:[^"\\]|\\.)*)"(?:\s*,\s*"((?:[^"\\]|\\.)*)")?')
UNREADABLE = re.compile(r"(?<![\w.$])tn?\(\s*['`].*")
ERRORS = ("SfumatoError", "BadInput", "Refused", "problem")
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2), "t": None, "tn": (1, 2)}
LABELLED = ("pages", "panels", "stages", "settings", "tasks")
"""Registries whose labels are words; those of samplers, models and the like are names."""
SUMMARISED = ("pages", "panels", "stages", "samplers", "schedulers", "upscalers", "face_restorers")
WITH_OPTIONS = ("stages", "samplers", "schedulers")
UNWANTED = re.compile(
    rb'"(Project-Id-Version|POT-Creation-Date|PO-Revision-Date|Generated-By|Report-Msgid-Bugs-To|Last-Translator|Language-Team)[^\n]*\n'
)
"""Header lines that change by themselves, or that nobody fills in."""
SHOWN = "registered"
"""Where texts are that pages and scripts may show alike."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something is wrong")
    check = parser.parse_args().check
    studio = Studio()
    folders = {entry.plugin: Path(entry.load()) for entry in studio.registries.catalogues}
    ours = {name: folder for name, folder in folders.items() if folder.is_relative_to(ROOT / "plugins")}
    problems = 0
    for name, folder in ours.items():
        template = collected(studio, name, folder.parent, set(folders))
        problems += check_template(folder, template) if check else 0
        if not check:
            write(folder / "messages.pot", template)
        for file in sorted(folder.glob("*/LC_MESSAGES/messages.po")):
            problems += bring_up(file, template, check)
    return int(problems > 0)


def collected(studio: Studio, name: str, package: Path, catalogues: set[str]) -> Catalog:
    """All texts of one plugin, in order, with the files that have them."""
    found = Catalog(project=name, fuzzy=False, charset="utf-8")
    methods: list[tuple[str, Any]] = [
        ("translations/**", "ignore"),
        ("**.py", "python"),
        ("**/templates/**.html", "jinja2"),
        ("**/static/**.js", texts_of_script),
    ]
    for file, _, message, comments, context in extract_from_dir(package, methods, keywords=KEYWORDS):
        found.add(message, None, [(Path(file).name, 0)], auto_comments=comments, context=context)
    for text, place in [*texts_of_errors(package), *registered(studio, name, catalogues)]:
        if re.search(r"[^\W\d_]", text):
            found.add(text, None, [(place, 0)])
    ordered = Catalog(project=name, fuzzy=False, charset="utf-8")
    for each in sorted((each for each in found if each.id), key=lambda each: str(each.id)):
        ordered.add(each.id, None, sorted(set(each.locations)), context=each.context)
    return ordered


def texts_of_script(
    file: io.BytesIO, keywords: Any, comment_tags: Any, options: Any
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """What `t()` and `tn()` are given, within template strings too, where Babel's own reader is blind."""
    script = file.read().decode("utf-8")
    if unreadable := UNREADABLE.search(script):
        raise SystemExit(f"t() and tn() take texts in double quotes: {unreadable.group()}")
    for call in CALL.finditer(script):
        function, one, many = call.groups()
        texts = tuple(json.loads(f'"{text}"') for text in (one, many) if text is not None)
        yield 0, function, texts if function == "tn" else texts[0], []


def texts_of_errors(package: Path) -> Iterator[tuple[str, str]]:
    """What errors say where they say the same each time; names and numbers within stay English as a whole."""
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value, SHOWN


def registered(studio: Studio, name: str, catalogues: set[str]) -> Iterator[tuple[str, str]]:
    """What plugins hand over as data, and where it is shown: labels, summaries, and texts of forms."""
    registries = studio.registries

    def ours(registry: str) -> Iterable[Entry[Any]]:
        for entry in getattr(registries, registry):
            if entry.plugin == name or (name == CORE and entry.plugin not in catalogues):
                yield entry

    for registry in LABELLED:
        yield from ((entry.info.label, SHOWN) for entry in ours(registry))
    for registry in SUMMARISED:
        yield from ((entry.info.summary, SHOWN) for entry in ours(registry))
    for registry in WITH_OPTIONS:
        for entry in ours(registry):
            yield from texts_of(option_fields(entry.info.options))
    for entry in ours("model_families"):
        yield from texts_of(fields_of(entry.load().options), SHOWN)
    for entry in ours("settings"):
        yield from texts_of_section(entry.load())
    for entry in ours("tasks"):
        if entry.info.request:
            yield from texts_of(fields_of(load_model(entry.info.request)), SHOWN)
    if name == CORE:
        yield UNGROUPED, PAGES_ONLY
        yield from ((field.name.replace("_", " ").capitalize(), PAGES_ONLY) for field in fields(Registries))
        for section, model in KERNEL_SECTIONS.items():
            yield section.capitalize(), PAGES_ONLY
            yield from texts_of_section(model)


def texts_of_section(model: type) -> Iterator[tuple[str, str]]:
    yield description_of(model), PAGES_ONLY
    yield from texts_of(fields_of(model, "section"))


def texts_of(members: Iterable[FormField], place: str = PAGES_ONLY) -> Iterator[tuple[str, str]]:
    """What a form shows of fields; choices of fields offer some titles and descriptions to scripts too."""
    for member in members:
        yield member.title, place
        yield member.description, place
        yield member.group, PAGES_ONLY
        yield member.unit, PAGES_ONLY
        yield from ((words, PAGES_ONLY) for _, words in member.labelled_choices)
        yield from texts_of(member.fields, place)


def check_template(folder: Path, template: Catalog) -> int:
    """How many texts messages.pot lacks."""
    file = folder / "messages.pot"
    collected_before = io.BytesIO(file.read_bytes() if file.exists() else b"")
    known = {message.id for message in read_po(collected_before)}
    missing = [message.id for message in template if message.id and message.id not in known]
    for text in missing:
        print(f"{file.relative_to(ROOT)} lacks: {text}", file=sys.stderr)
    if missing:
        print(f"{len(missing)} texts; run: python scripts/translations.py", file=sys.stderr)
    return len(missing)


def bring_up(file: Path, template: Catalog, check: bool) -> int:
    """Bring one language up to date, tell what it lacks, and count what is wrong with it."""
    with file.open("rb") as stream:
        catalogue = read_po(stream, locale=file.parent.parent.name)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    if not check:
        write(file, catalogue)
    messages = [message for message in catalogue if message.id]
    missing = [message for message in messages if not is_translated(message)]
    for message in missing:
        print(f"  not translated: {message.id}")
    print(f"{file.relative_to(ROOT)}: {len(messages) - len(missing)} of {len(messages)} texts translated")
    return tell_broken(file, [message for message in messages if is_translated(message)])


def tell_broken(file: Path, messages: Iterable[Message]) -> int:
    broken = [message for message in messages if not fits(message)]
    for message in broken:
        told = f"{message.id!r} has other placeholders than {message.string!r}"
        print(f"{file.relative_to(ROOT)}: {told}", file=sys.stderr)
    return len(broken)


def write(file: Path, catalogue: Catalog) -> None:
    stream = io.BytesIO()
    write_po(
        stream,
        catalogue,
        width=110,
        omit_header=file.suffix == ".pot",
        include_lineno=False,
        sort_output=True,
    )
    text = re.sub(UNWANTED, b"", stream.getvalue())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)


if __name__ == "__main__":
    sys.exit(main())
