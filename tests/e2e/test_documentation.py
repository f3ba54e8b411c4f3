"""The documentation's own checks find what they are for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def check_docs():
    """The script as a module; scripts import each other by their plain names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        import check_docs

        yield check_docs


@pytest.fixture(scope="module")
def tree(check_docs):
    return check_docs.command_tree(check_docs.bundled_studio())


def test_a_dead_link_and_a_dead_heading_are_found(check_docs, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n", "utf-8")
    text = "[a](gone.md) [b](page.md#one-two) [c](page.md#three) [d](https://example.org/x) `[e](code.md)`"
    assert list(check_docs.dead_links(page, text)) == [
        "link to gone.md: there is no such file",
        "link to page.md#three: there is no such heading",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('sfumato generate "a cat" --steps 4 --flux-shift=1.5', None),
        ("sfumato --set engine.device=cpu models list --json", None),
        ("sfumato plugins show NAME", None),
        ("sfumato paint", "sfumato paint: there is no such command"),
        ("sfumato models list --all", "sfumato models list --all: there is no such option"),
    ],
)
def test_commands_that_do_not_exist_are_found(check_docs, tree, line: str, problem: str | None) -> None:
    (words,) = check_docs.command_lines(f"    $ {line}\n")
    assert list(check_docs.wrong_sfumato(words, tree)) == ([problem] if problem else [])


def test_make_targets_that_do_not_exist_are_found(check_docs) -> None:
    targets = check_docs.make_targets()
    assert {"demo", "test", "lint", "docs", "docs-check", "bench", "emoji-model"} <= targets
    (words,) = check_docs.command_lines("Run `make everything` now.")
    assert list(check_docs.wrong_make(words, targets)) == ["make everything: there is no such target"]


def test_the_samplers_that_pages_name_and_count_are_those_there_are(check_docs) -> None:
    registries = check_docs.bundled_studio().registries
    registered = registries.samplers, registries.schedulers
    own = [[entry.info.name for entry in those if entry.plugin == "samplers"] for those in registered]
    page = (ROOT / "plugins" / "samplers" / "README.md").read_text("utf-8")
    tables = page[page.index("| Samplers |") : page.index("[The reference]")].split("| Schedulers |")
    assert [sorted(re.findall(r"`(\w+)`", table)) for table in tables] == [sorted(those) for those in own]
    for name in ("README.md", "CHANGELOG.md"):
        counted = re.findall(r"(\d+) samplers .*?(\d+) schedulers", (ROOT / name).read_text("utf-8"))
        assert counted == [tuple(str(len(those)) for those in own)]


@pytest.mark.slow
def test_the_demo_draws_eight_pictures_and_a_sheet(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "demo_sheet.py"), "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "demo").glob("*.png"))) == 8
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    assert "sheet.png" in run.stdout.replace("\n", "")  # a long path is broken into lines
