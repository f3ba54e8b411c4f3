"""Whose things a request is about."""

from __future__ import annotations

from flask import g

from sfumato.jobs.records import LOCAL_USER


def current_user() -> str:
    """Who asks; the local user where nobody has to log in."""
    return str(g.get("user", LOCAL_USER))


def is_local() -> bool:
    """Whether it is the one user of a studio without log-in, to whom everything belongs."""
    return current_user() == LOCAL_USER


def owner() -> str | None:
    """Whose jobs the one who asks may see; None for everybody's."""
    return None if is_local() else current_user()
