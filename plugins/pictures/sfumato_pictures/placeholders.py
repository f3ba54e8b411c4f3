"""What the placeholders of file names stand for, as in A1111.

Each is a function of what is known of a picture and of its own arguments; None is nothing to tell.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any
from zoneinfo import ZoneInfo

Known = Mapping[str, Any]
"""What is known of a picture: seed, steps, cfg, width, height, model, model_hash, sampler, scheduler, prompt,
negative_prompt, prompt_no_styles, styles (names), batch_number, batch_size, generation_number, clip_skip,
denoising, vae (file), when (`datetime`; else now), started (when the job began), image (its pixels
as a buffer). None and what is missing are not known."""

WORDS = 8
"""A1111's limit of [prompt_words]."""
_HASH_LENGTH = 8
_TIME_FORMAT = "%Y%m%d%H%M%S"
_BETWEEN_WORDS = re.compile(rf"[\s{re.escape(string.punctuation)}]+")

ALIASES: Mapping[str, str] = {"model": "model_name"}
"""Shorter names, which patterns in curly brackets always had."""


def placeholder(name: str, arguments: Sequence[str], known: Known) -> str | None:
    """The value of a placeholder; None where there is none."""
    value = PLACEHOLDERS[ALIASES.get(name, name)](known, arguments)
    return None if value is None else str(value)


def _plain(key: str) -> Callable[[Known, Sequence[str]], Any]:
    return lambda known, arguments: known.get(key)


def _several(key: str, total: str) -> Callable[[Known, Sequence[str]], Any]:
    """A number that says nothing where there is only one picture."""
    return lambda known, arguments: known.get(key) if known.get(total, 1) > 1 else None


def _hash_of(*keys: str) -> Callable[[Known, Sequence[str]], str]:
    def digest(known: Known, arguments: Sequence[str]) -> str:
        text = " ".join(str(known.get(key) or "") for key in keys)
        return hashlib.sha256(text.encode()).hexdigest()[: _length(arguments, _HASH_LENGTH)]

    return digest


def _image_hash(known: Known, arguments: Sequence[str]) -> str | None:
    image = known.get("image")
    return None if image is None else hashlib.sha256(image).hexdigest()[: _length(arguments, None)]


def _length(arguments: Sequence[str], default: int | None) -> int | None:
    return int(arguments[0]) if arguments and arguments[0].isdecimal() else default


def _prompt(known: Known, arguments: Sequence[str]) -> str | None:
    prompt = known.get("prompt")
    return None if prompt is None else str(prompt).strip().replace(" ", "_")


def _prompt_words(known: Known, arguments: Sequence[str]) -> str:
    words = [word for word in _BETWEEN_WORDS.split(str(known.get("prompt") or "")) if word]
    return " ".join(words[:WORDS]) or "empty"


def _prompt_no_styles(known: Known, arguments: Sequence[str]) -> Any:
    return known.get("prompt_no_styles", known.get("prompt"))


def _styles(known: Known, arguments: Sequence[str]) -> str:
    return ", ".join(known.get("styles") or ()) or "None"


def _has_prompt(known: Known, arguments: Sequence[str]) -> str:
    """Each ``<expected|default>``: what is expected where the prompt has it, else the default."""
    prompt, found = str(known.get("prompt") or "").lower(), ""
    for argument in arguments:
        expected, _, default = argument.partition("|")
        found += expected.lower() if expected.lower() in prompt else default.partition("|")[0]
    return found


def _date(known: Known, arguments: Sequence[str]) -> str:
    given = known.get("date")
    return str(given) if given else f"{_when(known):%Y-%m-%d}"


def _datetime(known: Known, arguments: Sequence[str]) -> str:
    form, zone = [*arguments, "", ""][:2]
    when = _when(known)
    if zone:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no such zone: here, as in A1111
            when = when.astimezone(ZoneInfo(zone))
    try:
        return when.strftime(form or _TIME_FORMAT)
    except ValueError:
        return when.strftime(_TIME_FORMAT)


def _job_timestamp(known: Known, arguments: Sequence[str]) -> str:
    started: datetime = known.get("started") or _when(known)
    return started.strftime(_TIME_FORMAT)


def _when(known: Known) -> datetime:
    return known.get("when") or datetime.now().astimezone()


def _user(known: Known, arguments: Sequence[str]) -> str | None:
    """The one who asked a server for the picture; nobody on one's own machine, as in A1111."""
    return known.get("user")


def _vae_filename(known: Known, arguments: Sequence[str]) -> str | None:
    vae = known.get("vae")
    return PurePath(vae).name.lstrip(".").partition(".")[0] if vae else None


def _nothing(known: Known, arguments: Sequence[str]) -> str:
    return ""


PLACEHOLDERS: Mapping[str, Callable[[Known, Sequence[str]], Any]] = {
    "seed": _plain("seed"),
    "steps": _plain("steps"),
    "cfg": _plain("cfg"),
    "width": _plain("width"),
    "height": _plain("height"),
    "model_name": _plain("model"),
    "model_hash": _plain("model_hash"),
    "sampler": _plain("sampler"),
    "scheduler": _plain("scheduler"),
    "date": _date,
    "datetime": _datetime,
    "job_timestamp": _job_timestamp,
    "prompt": _prompt,
    "prompt_no_styles": _prompt_no_styles,
    "prompt_spaces": _plain("prompt"),
    "prompt_words": _prompt_words,
    "prompt_hash": _hash_of("prompt"),
    "full_prompt_hash": _hash_of("prompt", "negative_prompt"),
    "negative_prompt_hash": _hash_of("negative_prompt"),
    "styles": _styles,
    "batch_number": _several("batch_number", "batch_size"),
    "batch_size": _plain("batch_size"),
    "generation_number": _several("generation_number", "image_total"),
    "hasprompt": _has_prompt,
    "clip_skip": _plain("clip_skip"),
    "denoising": _plain("denoising"),
    "user": _user,
    "vae_filename": _vae_filename,
    "image_hash": _image_hash,
    "sequence": _nothing,
    "none": _nothing,
}
"""By name. [sequence] wants the running number, which stands before the name anyway, [none] for it alone."""
