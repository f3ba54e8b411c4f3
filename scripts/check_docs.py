"""Fails when the documentation lies.

A dead relative link; a command, option or make target that is none; code that is not in the file it is from.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from bundled_studio import ROOT, bundled_studio
from command_tree import Command, command_tree

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|<img[^>]*\ssrc=\"([^\"]+)\"")
CODE = re.compile(r"^(?:```|~~~)[^\n]*\n(.*?)^(?:```|~~~)|^(?: {4}|\t)([^\n]+)|`([^`\n]+)`", re.S | re.M)
QUOTE = re.compile(r"^<!-- from (\S+) -->\n```\w*\n(.*?)^```", re.S | re.M)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)
PROGRAM = re.compile(r"(?:^|[\s(/])(sfumato|make|make\.ps1)(?=\s)")
SHELL_SIGNS = ("|", "&&", ">", ";", "<")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*|\[.*|<.*|\.\.\.|…")


def pages() -> list[Path]:
    """Every page people read, ours alone."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "kernel").glob("*.md")]
    found += [*(ROOT / "plugins").glob("*/*.md"), *(ROOT / "examples").glob("*/*.md")]
    return sorted([*found, *(ROOT / "benchmarks").glob("*.md")])


def anchor(heading: str) -> str:
    """A heading's address as code hosts make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def stale_quotes(page: Path, text: str) -> Iterator[str]:
    """Code under a comment that names its file must stand in that file, line by line."""
    for match in QUOTE.finditer(text):
        path, quoted = (page.parent / match[1]).resolve(), match[2]
        if not path.is_file():
            yield f"code from {match[1]}: there is no such file"
        elif quoted not in path.read_text("utf-8"):
            yield f"code from {match[1]}: it is not in that file any more"


def without_code(text: str) -> str:
    return CODE.sub("", text)


def dead_links(page: Path, text: str) -> Iterator[str]:
    for match in LINK.finditer(without_code(text)):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", target):
            continue
        file, _, fragment = unquote(target).partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists():
            yield f"link to {target}: there is no such file"
        elif fragment and path.suffix == ".md":
            anchors = {anchor(heading) for heading in HEADING.findall(path.read_text("utf-8"))}
            if fragment not in anchors:
                yield f"link to {target}: there is no such heading"


def command_lines(text: str) -> Iterator[list[str]]:
    """Every command in code, as words from the program's name on."""
    for match in CODE.finditer(text):
        block = next(group for group in match.groups() if group is not None)
        for line in block.replace("\\\n", " ").splitlines():
            found = PROGRAM.search(line)
            if not found or line.lstrip().startswith(("#", "from ", "import ")):
                continue
            try:
                words = shlex.split(line[found.start(1) :], comments=True)
            except ValueError:  # a quotation mark in prose
                continue
            end = next((i for i, word in enumerate(words) if word in SHELL_SIGNS), None)
            yield words[:end]


def wrong_make(words: list[str], targets: set[str]) -> Iterator[str]:
    asked = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]
    for target in asked:
        if target not in targets:
            yield f"make {target}: there is no such target"


def wrong_sfumato(words: list[str], tree: Command) -> Iterator[str]:
    command, rest = tree, iter(words[1:])
    options = {"--help": False, **takes_value(tree)}
    for word in rest:
        if word.startswith("-") and not re.fullmatch(r"-|-?\d.*", word):
            name, given, _ = word.partition("=")
            if name not in options:
                yield f"{' '.join(command.path)} {name}: there is no such option"
            elif options[name] and not given:
                next(rest, None)
        elif command.commands:
            child = command.find(word)
            if child is None:
                if not PLACEHOLDER.fullmatch(word):
                    yield f"{' '.join(command.path)} {word}: there is no such command"
                return
            command = child
            options |= takes_value(command)


def takes_value(command: Command) -> dict[str, bool]:
    """Every option of a command, and whether a word follows it."""
    return {name: p.takes_value for p in command.parameters if not p.is_argument for name in p.names}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.M))


def main() -> int:
    tree, targets = command_tree(bundled_studio()), make_targets()
    problems = []
    for page in pages():
        text = page.read_text("utf-8")
        found = [*dead_links(page, text), *stale_quotes(page, text)]
        for words in command_lines(text):
            found += wrong_sfumato(words, tree) if words[0] == "sfumato" else wrong_make(words, targets)
        problems += [f"{page.relative_to(ROOT)}: {problem}" for problem in found]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
