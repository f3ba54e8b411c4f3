"""Keeps secrets out of logs: passwords, tokens, and who logs in by an address."""

from __future__ import annotations

import logging
import re

HIDDEN = "[hidden]"
NAMES = r"(?:password|passwd|secret|api_?key|csrf_token|token)"
PATTERNS = (
    re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer)?\s*)[^\s'\",}]+"),
    re.compile(r"(?i)(\b(?:basic|bearer)\s+)[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(rf"(?i)({NAMES}['\"]?\s*[:=]\s*(['\"]))(?:\\.|(?!\2)[^\\])*"),
    re.compile(rf"(?i)({NAMES}['\"]?\s*[:=]\s*['\"]?)[^\s'\"&,;}}]+"),
    re.compile(r"(?i)(sfumato_session_\d*=)[^\s;'\"]+"),
    re.compile(r"()sfu_[A-Za-z0-9_-]{8,}"),
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE),
)


def scrub(text: str) -> str:
    """The text without what nobody should read in a log."""
    for pattern in PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


class SecretsFilter(logging.Filter):
    """Scrubs what handlers write, tracebacks too."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = scrub(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = scrub(record.exc_text)
        return True


def keep_secrets_out_of_logs() -> None:
    """Put the filter before every handler of the program."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(known, SecretsFilter) for known in handler.filters):
            handler.addFilter(SecretsFilter())
