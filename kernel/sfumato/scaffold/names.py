"""One name in the forms that a plugin package needs it in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sfumato.errors import BadInput

LONGEST_NAME = 30
_PREFIX = re.compile(r"^sfumato[-_]")
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True)
class PluginName:
    """A plugin's name; `text` is lower_snake, as registered names are."""

    text: str

    @classmethod
    def parse(cls, typed: str) -> PluginName:
        """From what a person typed: lower-kebab or lower_snake, "sfumato-" before it or not.

        Raises:
            BadInput: it is no such name.
        """
        name = _PREFIX.sub("", typed)
        if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
            raise BadInput(
                f"'{typed:.80}' cannot be a plugin's name.",
                why="It names a package and what that registers: lower-case letters, digits, single - or _ "
                f"between them, a letter first, {LONGEST_NAME} characters at most.",
                hint="Choose a name such as 'film-grain'.",
            )
        return cls(name.replace("-", "_"))

    @property
    def distribution(self) -> str:
        """What pip calls it: "sfumato-film-grain"."""
        return f"sfumato-{self.text.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What Python calls it: "sfumato_film_grain"."""
        return f"sfumato_{self.text}"

    @property
    def label(self) -> str:
        """What people see: "Film Grain"."""
        return self.text.replace("_", " ").title()

    @property
    def class_name(self) -> str:
        """ "FilmGrain"."""
        return self.label.replace(" ", "")
