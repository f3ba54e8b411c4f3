"""URL rules that are made ready to build addresses when the first one is built.

Werkzeug compiles two Python functions a rule for that, which for all our rules takes a tenth of a second of
the server's start, and few of them are ever linked to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule


class LazyRule(Rule):
    """A rule whose builder is compiled on first use."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., Any]:
        compiled: list[Callable[..., Any]] = []

        def build(rule: Rule, *values: Any, **more: Any) -> Any:
            if not compiled:
                compiled.append(super(LazyRule, self)._compile_builder(append_unknown))
            return compiled[0](rule, *values, **more)

        return build
