"""Collects the texts of each plugin that brings a catalogue, and brings its translations up to date.

    python scripts/translations.py           writes messages.pot and every messages.po
    python scripts/translations.py --check   fails when one is out of date; lists what is not translated

Texts are what `_()`, `gettext()`, `ngettext()` are given in Python and templates, `t()` and `tn()` in
scripts, and what forms and lists show of schemas and registries. The English text is the key.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po
from pydantic import BaseModel

from sfumato.request.schema import load_model
from sfumato.settings import KERNEL_SECTIONS
from sfumato.studio import Studio

ROOT = Path(__file__).parent.parent
CORE = "ui_web"
"""The catalogue that has what the kernel shows, and all plugins without a catalogue of their own."""
METHODS = [
    ("translations/**", "ignore"),
    ("**.py", "python"),
    ("**/templates/**.html", "jinja2"),
    ("**/static/**.js", "javascript"),
]
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2), "t": None, "tn": (1, 2)}
SHOWN = ("pages", "panels", "samplers", "schedulers", "upscalers", "face_restorers", "stages", "settings")
"""Registries whose labels and summaries people read."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when something is out of date"
    )
    check = parser.parse_args().check
    stale = False
    studio = Studio()
    folders = {entry.info.name: Path(entry.load()) for entry in studio.registries.catalogues}
    for name, folder in folders.items():
        template = _template(studio, name, folder, set(folders))
        stale |= _bring_up(folder / "messages.pot", template, template, check)
        for file in sorted(folder.glob("*/LC_MESSAGES/messages.po")):
            locale = file.parent.parent.name
            catalogue = read_po(file.open("rb"), locale=locale)
            catalogue.update(template, no_fuzzy_matching=True)
            catalogue.obsolete.clear()
            stale |= _bring_up(file, catalogue, template, check)
            _tell_missing(name, locale, catalogue)
    if stale and check:
        print("Out of date; run: python scripts/translations.py", file=sys.stderr)
    return int(stale and check)


def _template(studio: Studio, name: str, folder: Path, catalogues: set[str]) -> Catalog:
    """All texts of one plugin, in order, with the files that have them."""
    template = Catalog(project=name, fuzzy=False, charset="utf-8")
    package = folder.parent
    for file, _, message, comments, context in extract_from_dir(package, METHODS, keywords=KEYWORDS):
        template.add(message, None, [(Path(file).name, 0)], auto_comments=comments, context=context)
    for text in _registered(studio, name, catalogues):
        if text.strip():
            template.add(text, None, [("registered", 0)])
    ordered = Catalog(project=name, fuzzy=False, charset="utf-8")
    for found in sorted((each for each in template if each.id), key=lambda each: str(each.id)):
        ordered.add(found.id, None, sorted(set(found.locations)), context=found.context)
    return ordered


def _registered(studio: Studio, name: str, catalogues: set[str]) -> Iterator[str]:
    """Labels, titles, descriptions and groups that plugins hand over as data."""

    def is_ours(plugin: str) -> bool:
        return plugin == name or (name == CORE and plugin not in catalogues)

    for registry in SHOWN:
        for entry in getattr(studio.registries, registry):
            if is_ours(entry.plugin):
                yield from (entry.info.label, getattr(entry.info, "summary", ""))
                for option in getattr(entry.info, "options", ()):
                    yield from (getattr(option, "title", ""), getattr(option, "description", ""))
    for entry in studio.registries.settings:
        if is_ours(entry.plugin):
            yield from _texts_of(entry.load(), set())
    for entry in studio.registries.tasks:
        if is_ours(entry.plugin) and entry.info.request:
            yield from _texts_of(load_model(entry.info.request), set())
    if name == CORE:
        for model in KERNEL_SECTIONS.values():
            yield from _texts_of(model, set())


def _texts_of(model: type[BaseModel], seen: set[type]) -> Iterator[str]:
    """What a form shows of a model and of the models in it."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield field.title or name.replace("_", " ").capitalize()
        yield field.description or ""
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        for key in ("group", "unit"):
            yield str(extra.get(key) or "")
        for inner in _models_in(field.annotation):
            yield from _texts_of(inner, seen)


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(model for part in getattr(annotation, "__args__", ()) for model in _models_in(part))


def _bring_up(file: Path, catalogue: Catalog, template: Catalog, check: bool) -> bool:
    """Whether the file was out of date; it is written unless this is a check."""
    stream = io.BytesIO()
    write_po(
        stream,
        catalogue,
        width=110,
        omit_header=file.suffix == ".pot",
        include_lineno=False,
        sort_output=True,
    )
    text = re.sub(rb'"(POT-Creation-Date|PO-Revision-Date|Generated-By)[^\n]*\n', b"", stream.getvalue())
    if file.exists() and file.read_bytes() == text:
        return False
    print(f"{file.relative_to(ROOT)}: {len(template)} texts")
    if not check:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    return True


def _tell_missing(name: str, locale: str, catalogue: Catalog) -> None:
    missing = [message.id for message in catalogue if message.id and not _is_translated(message.string)]
    for text in missing:
        print(f"{name} {locale}: not translated: {text}")


def _is_translated(string: Any) -> bool:
    return all(string) if isinstance(string, (tuple, list)) else bool(string)


if __name__ == "__main__":
    sys.exit(main())
