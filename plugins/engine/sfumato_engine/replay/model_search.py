"""The model of a picture found again: by its name, and by its hash where it has another name by now.

Where a stranger's text names a path, nothing is opened there unless it holds weights, and nothing is used
unless it has the hash.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from sfumato.errors import BadInput, SfumatoError
from sfumato.events import PhaseStarted
from sfumato.models import ModelInfo
from sfumato.tasks import TaskContext
from sfumato_engine.replay.comparison import shown

log = logging.getLogger(__name__)

OLD_HASH_LENGTH = 8
_OLD_START, _OLD_LENGTH = 0x100000, 0x10000


@dataclass(frozen=True)
class WantedModel:
    """What a picture says of its model; what it does not say is empty.

    Attributes:
        names: What it may be called, the likeliest first; paths among them.
        sha256: In hex, or how it begins; 8 digits are A1111's old hash of a piece of the file.
        size: Of the file in bytes.
    """

    names: tuple[str, ...]
    sha256: str = ""
    size: int = 0

    @property
    def label(self) -> str:
        name = shown(next((_last_part(name) for name in self.names if name), ""))
        known_by = f"hash {self.sha256[:10]}" if self.sha256 else ""
        return " ".join(filter(None, (f"'{name}'" if name else "", f"({known_by})" if known_by else "")))


def find_model(wanted: WantedModel, context: TaskContext) -> str | None:
    """The name or path under which the library finds it; None when the picture names no model.

    A model of the same name is taken although its hash is another, if nothing has that hash.

    Raises:
        BadInput: it is not here.
        Cancelled: while files were hashed.
    """
    named = _by_name(wanted, context)
    if named and (not wanted.sha256 or has_hash(named.path, wanted, context)):
        return _spelling(named, context)
    if wanted.sha256:
        hashed = _by_hash(wanted, context) or _by_path(wanted, context)
        if hashed:
            return _spelling(hashed, context)
    if named:
        return _spelling(named, context)
    if not any(wanted.names) and not wanted.sha256:
        return None
    raise BadInput(
        f"The model {wanted.label} is not here.",
        why="No model in the model folders has that name" + (" or that hash." if wanted.sha256 else "."),
        hint="Put it into a model folder, or draw with another one: --set model=NAME_OR_PATH",
    )


def _by_name(wanted: WantedModel, context: TaskContext) -> ModelInfo | None:
    """The model that a name, or the last part of a path, finds among those of the library."""
    known = {str(info.path): info for info in context.library.models()}
    for name in dict.fromkeys(_last_part(name) for name in wanted.names if name):
        for info in known.values():
            if name in (info.name, info.path.name):
                return info
        try:
            found = context.library.find(name)
        except SfumatoError:
            continue
        if str(found.path) in known:  # an alias; but no file of that name where the program was started
            return found
    return None


def _by_hash(wanted: WantedModel, context: TaskContext) -> ModelInfo | None:
    """The model that has the hash: remembered hashes first, then files by how alike their names are."""
    label = wanted.label
    candidates = [info for info in context.library.models() if _may_be(info.path, wanted)]
    for info in candidates:
        if context.library.known_sha256(info.path).startswith(wanted.sha256):
            return info
    candidates.sort(key=lambda info: -difflib.SequenceMatcher(None, label, info.name).ratio())
    for info in candidates:
        context.cancel.check()
        context.events.emit(PhaseStarted(phase="hashing", detail=info.name))
        if has_hash(info.path, wanted, context):
            return info
    return None


def _by_path(wanted: WantedModel, context: TaskContext) -> ModelInfo | None:
    """The file outside of the model folders that a stored path leads to, if its hash proves it."""
    for name in wanted.names:
        if is_of_another_machine(name):
            continue
        path = Path(name)
        if context.library.is_weights(path) and _may_be(path, wanted) and has_hash(path, wanted, context):
            return context.library.detect(path)
    return None


def is_of_another_machine(path: str) -> bool:
    """Whether this is a path to a share: what strangers write there is never asked for."""
    return path.startswith(("//", "\\\\"))


def _may_be(path: Path, wanted: WantedModel) -> bool:
    try:
        return path.is_file() and wanted.size in (0, path.stat().st_size)
    except OSError:
        return False


def has_hash(path: Path, wanted: WantedModel, context: TaskContext) -> bool:
    """Whether the file there has the hash that is wanted; what cannot be read has none."""
    try:
        if not path.is_file():
            return False
        if len(wanted.sha256) == OLD_HASH_LENGTH:
            return old_hash(path) == wanted.sha256
        return context.library.sha256(path).startswith(wanted.sha256)
    except OSError as error:
        log.warning("No hash of %s: %s", path, error)
        return False


def old_hash(path: Path) -> str:
    """A1111's model hash before 2023: of 64 KB that begin at one MB."""
    with path.open("rb") as file:
        file.seek(_OLD_START)
        return hashlib.sha256(file.read(_OLD_LENGTH)).hexdigest()[:OLD_HASH_LENGTH]


def _spelling(info: ModelInfo, context: TaskContext) -> str:
    """Its name where that finds it, else its path."""
    try:
        found = context.library.find(info.name).path
    except SfumatoError:
        return str(info.path.absolute())
    return info.name if found == info.path else str(info.path.absolute())


def _last_part(name: str) -> str:
    """The last part of a path of any system, or the name itself."""
    return PurePosixPath(PureWindowsPath(name).name).name
