"""The command line: one module a command group. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from sfumato.cli.app import build_app, main

__all__ = ["build_app", "main"]
