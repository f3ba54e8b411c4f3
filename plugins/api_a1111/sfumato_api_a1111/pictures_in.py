"""Pictures that clients send: base64, data URLs and addresses; kept as files for the jobs that read them."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from sfumato.errors import BadInput, SfumatoError
from sfumato.fetching import fetch
from sfumato_api_a1111.errors import Refusal, failure
from sfumato_api_a1111.state import Api
from sfumato_ui_web.uploads import Uploads

_DATA_URL = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_NOT_DECODABLE = "Invalid encoded image"


def content_of(text: str, api: Api) -> bytes:
    """The file that a text gives or names.

    Raises:
        Refusal: it is no base64, may not be fetched, or is too large.
    """
    limit = api.settings.largest_megabytes * 1_000_000
    if text.startswith(("http://", "https://")):
        return _fetched(text, api, limit)
    encoded = _DATA_URL.sub("", text, count=1) if text[:5].lower() == "data:" else text
    if len(encoded) > limit * 4 // 3 + 4:
        raise Refusal(413, f"A picture may have {api.settings.largest_megabytes} megabytes.")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded.rstrip()) % 4))
    except (binascii.Error, ValueError) as error:
        raise failure(_NOT_DECODABLE) from error


def _fetched(url: str, api: Api, limit: int) -> bytes:
    options = api.options.values()
    if not options["api_enable_requests"]:
        raise failure("Requests not allowed")
    local = api.settings.fetch_local_addresses
    try:
        return fetch(url, allow_local=local, limit_bytes=limit, timeout=api.settings.fetch_seconds)
    except SfumatoError as error:
        if isinstance(error, BadInput):
            raise failure(f"Request to this url is not allowed. {error}") from error
        raise failure(f"Invalid image url. {error}") from error


def stored(text: str, api: Api) -> Path:
    """The picture as a file that a job can read; the same picture is kept once.

    Raises:
        Refusal: it is no picture that can be read, or too large.
    """
    return store(content_of(text, api), api)


def store(content: bytes, api: Api) -> Path:
    """The content as a file among the uploads; raises as `stored`."""
    try:
        return Uploads(api.studio.settings).add(content).path
    except BadInput as error:
        raise failure(f"{_NOT_DECODABLE}. {error}") from error
