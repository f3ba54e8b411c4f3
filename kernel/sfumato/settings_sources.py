"""Where settings come from and are kept: the TOML file, environment variables, the command line.

Every source is flattened to ``{"section.field": Given}``, so that layering is one dictionary update.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sfumato.atomic import write_atomically
from sfumato.errors import BadInput, SfumatoError

PREFIX = "SFUMATO_"
SEPARATOR = "__"
CONFIG_VARIABLE = "SFUMATO_CONFIG"
OVERRIDE_OPTION = "--set"

Source = Literal["default", "file", "environment", "command line"]


@dataclass(frozen=True)
class Provenance:
    """Where a value comes from; `detail` is the file, the variable or the option that gave it."""

    source: Source
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.source} ({self.detail})" if self.detail else self.source


@dataclass(frozen=True)
class Given:
    """A value as its source spells it, not yet checked."""

    value: Any
    provenance: Provenance


def settings_file(file: Path | None, environ: Mapping[str, str]) -> Path:
    """The settings file in use: `file`, else ``SFUMATO_CONFIG``, else the user's configuration folder."""
    if file is not None:
        return file.expanduser()
    if environ.get(CONFIG_VARIABLE):
        return Path(environ[CONFIG_VARIABLE]).expanduser()
    import platformdirs

    return platformdirs.user_config_path("sfumato", appauthor=False) / "settings.toml"


def from_file(path: Path) -> dict[str, Given]:
    """The tables of a TOML file; an absent file gives nothing.

    Raises:
        BadInput: the file cannot be read or is not TOML.
    """
    if not path.exists():
        return {}
    provenance = Provenance("file", str(path))
    given: dict[str, Given] = {}
    for section, content in read_document(path).unwrap().items():
        if isinstance(content, dict):
            given.update({f"{section}.{name}": Given(value, provenance) for name, value in content.items()})
        else:
            given[section] = Given(content, provenance)
    return given


def from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    """``SFUMATO_ENGINE__DEVICE=cpu`` is ``engine.device``; variables without ``__`` are not settings."""
    given = {}
    for variable, text in sorted(environ.items()):
        section, separator, name = variable.removeprefix(PREFIX).partition(SEPARATOR)
        if variable.startswith(PREFIX) and separator and section and name:
            key = f"{section}.{name}".lower()
            given[key] = Given(text, Provenance("environment", variable))
    return given


def from_command_line(overrides: Mapping[str, str]) -> dict[str, Given]:
    """The ``--set key=value`` options of the command line."""
    provenance = Provenance("command line", OVERRIDE_OPTION)
    return {key.strip().lower(): Given(text, provenance) for key, text in overrides.items()}


def parse_overrides(pairs: list[str]) -> dict[str, str]:
    """Split ``key=value`` texts.

    Raises:
        BadInput: one lacks the equals sign or the key.
    """
    parsed = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise BadInput(f"'{pair}' is not a setting.", hint=f"Write {OVERRIDE_OPTION} section.name=value.")
        parsed[key.strip()] = value
    return parsed


def read_document(path: Path) -> Any:
    """The file as a tomlkit document (comments and order kept); an empty one when there is no file.

    Raises:
        BadInput: the file cannot be read or is not TOML.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return tomlkit.document()
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The settings file {path} is not valid TOML.",
            why=f"{error}.",
            hint="Mend that line, or move the file away.",
        ) from error
    except OSError as error:
        raise BadInput(
            f"The settings file {path} cannot be read.",
            why=f"{error.strerror}.",
            hint="Give another one by --config FILE.",
        ) from error


def store(path: Path, section: str, name: str, value: Any) -> None:
    """Put one value into the file and leave all the rest, comments included, as it is.

    Raises:
        BadInput: the file is not TOML, or `section` is not a table in it.
        SfumatoError: it cannot be written; the old file is untouched.
    """
    import tomlkit

    document = read_document(path)
    table = document.setdefault(section, tomlkit.table())
    if not isinstance(table, dict):
        raise BadInput(f"'{section}' in {path} is not a section.", hint=f"Write [{section}] there instead.")
    table[name] = value
    _replace(path, tomlkit.dumps(document))


def remove(path: Path, key: str) -> bool:
    """Take one value, or a whole section, out of the file; False when it was not there."""
    import tomlkit

    document = read_document(path)
    section, _, name = key.partition(".")
    table = document if not name else document.get(section)
    name = name or section
    if not isinstance(table, dict) or name not in table:
        return False
    del table[name]
    _replace(path, tomlkit.dumps(document))
    return True


def _replace(path: Path, text: str) -> None:
    """Swap the file's content in one step; a link stays a link."""
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, text.encode())
    except OSError as error:
        raise SfumatoError(
            f"The settings file {path} cannot be written.",
            why=f"{error.strerror}.",
            hint="Make its folder writable, or give another file by --config FILE.",
        ) from error


def parse_json(text: str) -> Any:
    """The JSON in `text`, or the text itself when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text
