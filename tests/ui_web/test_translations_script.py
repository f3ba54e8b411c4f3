"""`scripts/translations.py` finds what pages show, and says what is missing or broken."""

from __future__ import annotations

import importlib.util
import io
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog

SCRIPT = Path(__file__).parents[2] / "scripts" / "translations.py"
CATALOGUE = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "{n} kites"
msgstr "{m} Drachen"

msgid "Wind"
msgstr ""
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("translations_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(script: ModuleType, source: str) -> list[object]:
    found = script.texts_of_script(io.BytesIO(source.encode()), [], [], {})
    return [message for _, _, message, _ in found]


def test_texts_within_template_strings_and_after_slashes_are_found(script: ModuleType) -> None:
    source = r"""
        const a = x.replace(/["'`]/g, "") / 2 + t("Over");
        const b = `${t("All is well.")} ${t("Checked \"{when}\".", { when })}`;
        const c = tn(
            "{n} kite",
            "{n} kites",
            count,
        );
        const d = format("Not this") + about.t("Nor this") + t(label);
    """
    assert texts(script, source) == ["Over", "All is well.", 'Checked "{when}".', ("{n} kite", "{n} kites")]


@pytest.mark.parametrize("call", ["t('One')", "t(`One`)", "tn(\n  'One'"])
def test_a_text_that_would_be_overlooked_is_refused(script: ModuleType, call: str) -> None:
    with pytest.raises(SystemExit, match="double quotes"):
        texts(script, call)


def test_what_errors_always_say_is_found_and_what_they_fill_in_is_not(
    script: ModuleType, tmp_path: Path
) -> None:
    source = 'raise BadInput("There is no wind.", why=f"{n} kites", hint="Wait.")\nprint("Nothing")\n'
    (tmp_path / "kites.py").write_text(source, "utf-8")
    assert [text for text, _ in script.texts_of_errors(tmp_path)] == ["There is no wind.", "Wait."]


def test_each_text_that_the_template_lacks_counts(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    template = Catalog()
    template.add("Kites")
    script.write(tmp_path / "messages.pot", template)
    assert script.check_template(tmp_path, template) == 0
    template.add("Wind")
    assert script.check_template(tmp_path, template) == 1
    assert "lacks: Wind" in capsys.readouterr().err


def test_a_wrong_placeholder_counts_and_a_missing_translation_is_told(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    file = tmp_path / "de" / "LC_MESSAGES" / "messages.po"
    file.parent.mkdir(parents=True)
    file.write_text(CATALOGUE, "utf-8")
    before = shutil.copy(file, tmp_path / "before.po").read_bytes()
    template = Catalog()
    template.add("{n} kites")
    template.add("Wind")
    assert script.bring_up(file, template, True) == 1
    told = capsys.readouterr()
    assert "1 of 2 texts translated" in told.out
    assert "not translated: Wind" in told.out
    assert "'{m} Drachen'" in told.err
    assert file.read_bytes() == before, "a check writes nothing"


def test_translations_outlive_texts_that_come_and_go(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    file = tmp_path / "de" / "LC_MESSAGES" / "messages.po"
    file.parent.mkdir(parents=True)
    file.write_text(CATALOGUE.replace('"Wind"\nmsgstr ""', '"Wind"\nmsgstr "Wind (Luft)"'), "utf-8")
    template = Catalog()
    for text in ("Wind", "New"):
        template.add(text)
    script.bring_up(file, template, False)
    first = file.read_text("utf-8")
    assert 'msgstr "Wind (Luft)"' in first
    assert "kites" not in first
    script.bring_up(file, template, False)
    assert file.read_text("utf-8") == first
