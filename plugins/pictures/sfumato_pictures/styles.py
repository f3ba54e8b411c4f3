"""Styles: named pieces of prompts in A1111's styles.csv, put around what a user writes.

The file has the columns name, prompt (text in old files) and negative_prompt; others are kept as they are, as
are rows whose name begins with #. A style with ``{prompt}`` in it takes the prompt in there, any other one is
put behind it after a comma.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import BadInput, UnknownName
from sfumato.request import GenerationRequest
from sfumato_pictures.settings import SavingSettings
from sfumato_pictures.styles_file import COMMENT, Row, StylesFile

PLACEHOLDER = "{prompt}"
_SEPARATOR = ", "


@dataclass(frozen=True)
class Style:
    """A style as it is kept.

    Attributes:
        file: That it comes from; None for one that is in none yet.
    """

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    description: str = ""
    file: Path | None = None


class StyleBook:
    """The styles of one or several files; of two with one name the later one holds.

    Args:
        patterns: Files, ``*`` and ``?`` in their names; the first one takes new styles.

    Raises:
        BadInput: a file is no styles.csv.
    """

    def __init__(self, patterns: Sequence[Path]) -> None:
        self.files = _existing(patterns)
        self._home = _first(patterns)
        self._styles = {style.name: style for path in self.files for style in _styles_in(path)}

    def __iter__(self) -> Iterator[Style]:
        return iter(self._styles.values())

    def __contains__(self, name: str) -> bool:
        return name in self._styles

    def get(self, name: str) -> Style:
        """The style of that name; raises `UnknownName` with the nearest ones."""
        if name not in self._styles:
            raise UnknownName("style", name, list(self._styles), hint="'sfumato styles' lists them.")
        return self._styles[name]

    def apply(self, names: Sequence[str], prompt: str, negative_prompt: str = "") -> tuple[str, str]:
        """Both prompts with these styles around them, in their order.

        Raises:
            UnknownName: there is no such style.
        """
        for style in map(self.get, names):
            prompt = merged(style.prompt, prompt)
            negative_prompt = merged(style.negative_prompt, negative_prompt)
        return prompt, negative_prompt

    def extract(self, prompt: str, negative_prompt: str = "") -> tuple[tuple[str, ...], str, str]:
        """The styles that `apply` must have put around both prompts, in their order, and what is within."""
        left = [style for style in self if style.prompt or style.negative_prompt]
        found: list[str] = []
        while True:
            for style in left:
                inner = without(style.prompt, prompt)
                negative_inner = without(style.negative_prompt, negative_prompt)
                if inner is not None and negative_inner is not None:
                    prompt, negative_prompt = inner, negative_inner
                    found.insert(0, style.name)
                    left.remove(style)
                    break
            else:
                return tuple(found), prompt, negative_prompt

    def put(self, style: Style) -> Style:
        """Write a style, over the one of its name or behind the others of the first file.

        Raises:
            BadInput: it has no name that a file can keep, or the file cannot be written.
        """
        if not style.name.strip() or style.name.startswith(COMMENT):
            raise BadInput(
                "A style needs a name.",
                why=f"A row whose name is empty or begins with {COMMENT} is a comment.",
            )
        old = self._styles.get(style.name)
        path = (old.file if old else None) or self._home
        values: Row = {
            "name": style.name,
            "prompt": style.prompt,
            "negative_prompt": style.negative_prompt,
        }
        if style.description or (old and old.description):
            values["description"] = style.description
        StylesFile(path).put(values)
        kept = Style(style.name, style.prompt, style.negative_prompt, style.description, path)
        self._styles[style.name] = kept
        return kept

    def remove(self, name: str) -> Style:
        """Take a style out of every file that has it.

        Raises:
            UnknownName: there is no such style.
            BadInput: a file cannot be written.
        """
        style = self.get(name)
        for path in self.files or [self._home]:
            StylesFile(path).remove(name)
        del self._styles[name]
        return style


def style_book(settings: SavingSettings) -> StyleBook:
    """The styles of the files that the settings name; else of the user's own file."""
    import platformdirs

    own = platformdirs.user_data_path("sfumato", appauthor=False) / "styles.csv"
    return StyleBook(settings.styles_files or (own,))


def with_styles(request: GenerationRequest, settings: SavingSettings) -> GenerationRequest:
    """The request with its styles in its prompts, those of the hires pass too, and no more beside them.

    Raises:
        UnknownName: there is no such style.
        BadInput: a file is no styles.csv.
    """
    if not request.styles:
        return request
    book, names = style_book(settings), request.styles
    prompt, negative_prompt = book.apply(names, request.prompt, request.negative_prompt)
    update = {"prompt": prompt, "negative_prompt": negative_prompt, "styles": (), "hires": request.hires}
    if request.hires is not None:
        hires = request.hires
        both = book.apply(names, hires.prompt or "", hires.negative_prompt or "")
        own = zip(("prompt", "negative_prompt"), both, strict=True)
        update["hires"] = hires.model_copy(
            update={name: text for name, text in own if getattr(hires, name) is not None}
        )
    return request.model_copy(update=update)


def merged(style: str, prompt: str) -> str:
    """A prompt with the text of a style in A1111's way."""
    style, prompt = style.strip(), prompt.strip()
    if PLACEHOLDER in style:
        return style.replace(PLACEHOLDER, prompt)
    return _SEPARATOR.join(filter(None, (prompt, style)))


def without(style: str, prompt: str) -> str | None:
    """The inverse of `merged`: the prompt within; None where the style is not around it."""
    style, prompt = style.strip(), prompt.strip()
    if not style:
        return prompt
    if PLACEHOLDER in style:
        before, _, after = style.partition(PLACEHOLDER)
        fits = prompt.startswith(before) and prompt.endswith(after)
        if not fits or len(prompt) < len(before) + len(after):
            return None
        return prompt[len(before) : len(prompt) - len(after)]
    if prompt == style:
        return ""
    rest = prompt.removesuffix(_SEPARATOR + style)
    return None if rest == prompt else rest


def _existing(patterns: Sequence[Path]) -> list[Path]:
    """Every file once, in order; a name with a wildcard stands for those that there are."""
    paths = (path for pattern in patterns for path in _matching(pattern))
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def _matching(pattern: Path) -> list[Path]:
    wild = "*" in pattern.name or "?" in pattern.name
    return sorted(pattern.parent.glob(pattern.name)) if wild else [pattern]


def _first(patterns: Sequence[Path]) -> Path:
    """Where new styles go."""
    return next(iter(_matching(patterns[0])), patterns[0].with_name("styles.csv"))


def _styles_in(path: Path) -> Iterator[Style]:
    for row in StylesFile(path).styles():
        yield Style(
            row["name"],
            row.get("prompt", ""),
            row.get("negative_prompt", ""),
            row.get("description", ""),
            path,
        )
