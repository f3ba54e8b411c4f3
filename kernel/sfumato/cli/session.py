"""What one run of the command line shares: the global options, and the studio made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.cli import output

if TYPE_CHECKING:
    from sfumato.settings import Settings
    from sfumato.studio import Studio


@dataclass
class Session:
    """The options given before the command, and the studio once a command needs it.

    Attributes:
        config: The settings file to use.
        overrides: Settings given for this run, by key.
        verbose: How much more to tell.
    """

    config: Path | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    verbose: int = 0
    _studio: Studio | None = None

    def use(self, options: Mapping[str, Any]) -> None:
        """Take over the global options. Raises `BadInput` for a ``--set`` without a key and a value."""
        from sfumato.settings_sources import parse_overrides

        self.config = options.get("config")
        self.verbose = options.get("verbose") or 0
        self.overrides = parse_overrides(options.get("overrides") or [])

    def settings(self, *, lenient: bool = False) -> Settings:
        """The kernel's settings; plugins' sections come with the studio."""
        from sfumato.settings import Settings

        return Settings.load(file=self.config, overrides=self.overrides, lenient=lenient)

    def studio(self, *, lenient: bool = False) -> Studio:
        """The studio of this run.

        Args:
            lenient: Start although a setting is wrong; for commands that show and mend what is wrong.

        Raises:
            BadInput: a setting is wrong.
        """
        if self._studio is None:
            from sfumato.studio import Studio

            with output.only_data_on_stdout():
                self._studio = Studio(self.settings(lenient=lenient))
        return self._studio
