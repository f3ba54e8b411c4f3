"""Errors for people: what happened, why, and what to do next.

Everything a user can cause or mend is raised as a `SfumatoError`; the command line prints it without a
traceback and exits with its `exit_code`, an API turns it into a problem document. Any other exception is a
bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SfumatoError(Exception):
    """An error shown to the user as three short sentences.

    Args:
        what: What happened, naming what was asked for.
        why: The cause that was found, if known.
        hint: What to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.hint) if part)


class BadInput(SfumatoError):
    """The user asked for something that cannot be: an unknown name, a value out of range, a wrong file."""

    exit_code = 2


MOST_KNOWN = 40
"""Names that an error lists; more of them nobody reads."""


class UnknownName(BadInput):
    """A name that no registry entry answers to; offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        names = list(known)
        near = nearest_names(name, names)
        offer = f"Did you mean {', '.join(near)}?" if near else f"Known: {_listed(names)}."
        super().__init__(f"There is no {kind} named '{name}'.", hint=f"{offer} {hint}".strip())
        self.kind = kind
        self.name = name
        self.nearest = near


class CheckpointError(BadInput):
    """A weights file that is damaged, unsafe, or not what the model family needs."""


class MissingPart(BadInput):
    """A model lacks a part (autoencoder, text encoder, tokenizer) that was not found in the model folders."""


class OutOfMemory(SfumatoError):
    """The work does not fit the device; the hint names what to lower."""


class PluginError(SfumatoError):
    """A plugin failed to load, or failed in a hook; it is quarantined and the rest goes on."""


class Cancelled(SfumatoError):
    """The user stopped the work; what was finished is kept."""

    exit_code = 130


def _listed(names: list[str]) -> str:
    """In order, as many as are read."""
    more = f" and {len(names) - MOST_KNOWN} more" if len(names) > MOST_KNOWN else ""
    return f"{', '.join(sorted(names)[:MOST_KNOWN]) or 'none'}{more}"


def nearest_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` known names that look like `name`, best first; letter case is ignored."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.5)
    return [by_lower[match] for match in matches]
