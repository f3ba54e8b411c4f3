"""The query `adapters`: all LoRAs and learned words, for lists. Imports no torch.

Headers are read once for as long as files stay as they are, restarts included. A folder of thousands takes
many seconds to read for the first time, so that an answer reads for a moment only and tells how many are
still to be read.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato.errors import SfumatoError
from sfumato.previews import preview_beside
from sfumato.queries import QueryContext
from sfumato_adapters import fact_cache
from sfumato_adapters.describe import describe
from sfumato_adapters.fact_cache import Facts
from sfumato_adapters.files import ALIAS, State, file_state, own_names
from sfumato_adapters.kinds import PLAIN
from sfumato_adapters.matching import (
    families_for,
    family_of_words,
    lora_matches,
    width_of,
    words_match,
    words_width,
)

if TYPE_CHECKING:
    from sfumato.models import ModelInfo

Kind = Literal["lora", "embedding"]
FOLDERS: dict[Kind, str] = {"lora": "loras", "embedding": "embeddings"}
READING_SECONDS = 1.5
"""How long one answer may read headers."""
WORKSPACE_KEY = "adapters.facts"


class AdaptersRequest(BaseModel):
    """Which adapters are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None, title="Model", description="Tell which of them fit this model, by its name."
    )
    kind: Literal["", "lora", "embedding"] = Field(
        default="", title="Kind", description="Only of this kind; empty for all."
    )


class AdapterItem(BaseModel):
    """An adapter as lists show it."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="As prompts name it.")
    alias: str = Field(default="", description="The name that its trainer gave it; it answers to that too.")
    kind: Kind
    path: Path
    size: int = Field(description="Bytes.")
    modified: float = Field(description="Seconds since 1970.")
    preview: Path | None = Field(default=None, description="The picture beside it.")
    family: str = Field(default="", description="The family of models it was made for.")
    label: str = ""
    base_model: str = ""
    networks: tuple[str, ...] = Field(default=(), description="'lora', 'loha', 'dora' ...")
    ranks: tuple[int, ...] = ()
    trigger_words: tuple[str, ...] = Field(default=(), description="What brings it out in a prompt.")
    tags: tuple[str, ...] = Field(default=(), description="The commonest of its training pictures.")
    about: dict[str, str] = Field(default_factory=dict, description="What the file says of itself.")
    problem: str = Field(default="", description="Why it cannot be used.")
    note: str = ""
    matches: bool | None = Field(default=None, description="Whether it fits the model; null: not known.")
    warning: str = Field(default="", description="Why it does not fit.")
    read: bool = Field(default=True, description="Whether its header was read by now.")


class AdapterList(BaseModel):
    """All adapters, sorted by name."""

    items: tuple[AdapterItem, ...]
    pending: int = Field(default=0, description="Files still to be read: ask again for them.")
    folders: dict[str, tuple[Path, ...]] = Field(
        default_factory=dict, description="Where files of each kind are looked for."
    )


def adapters(request: AdaptersRequest, context: QueryContext) -> AdapterList:
    """Fulfils `sfumato.queries.Query`."""
    cache = Path(context.settings.general.data_folder) / "cache" / "adapters.json"
    store: FactStore = context.workspace.setdefault(WORKSPACE_KEY, FactStore(cache))
    model = context.library.find(request.model) if request.model else None
    kinds: Iterable[Kind] = (request.kind,) if request.kind else tuple(FOLDERS)
    files = {kind: context.library.files(FOLDERS[kind]) for kind in kinds}
    known = store.read({path: kind for kind in files for path in files[kind]}, context)
    items = []
    for kind, paths in files.items():
        names, folders = own_names(paths), _names_in({path.parent for path in paths})
        for path in paths:
            preview = preview_beside(path, folders[path.parent])
            item = _item(path, kind, names[path], known.get(path), model)
            items += [item.model_copy(update={"preview": preview})] if item else []
    return AdapterList(
        items=tuple(sorted(items, key=lambda item: item.name.lower())),
        pending=sum(not item.read for item in items),
        folders={kind: _folders(kind, context) for kind in files},
    )


class FactStore:
    """What headers told, by path; shared by all threads that ask, and kept in a file."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._facts: dict[Path, Facts] | None = None
        self._lock = threading.Lock()

    def read(self, files: dict[Path, Kind], context: QueryContext) -> dict[Path, Facts]:
        """The facts of those files that are read by now, or can be read within `READING_SECONDS`."""
        with self._lock:  # two that ask at once must not read the same headers
            known = fact_cache.load(self._cache) if self._facts is None else self._facts
            self._facts = known
            end = time.monotonic() + READING_SECONDS
            found = {path: known[path] for path in files if _is_current(known.get(path), path)}
            read: dict[Path, Facts] = {}
            for path in files:
                if path not in found and time.monotonic() < end:
                    read[path] = _facts_of(path, files[path], context)
            if read:
                self._facts = {path: facts for path, facts in (known | read).items() if path.exists()}
                fact_cache.store(self._cache, self._facts.items())
            return found | read


def _is_current(facts: Facts | None, path: Path) -> bool:
    try:
        return facts is not None and facts.state == file_state(path)
    except SfumatoError:
        return False


def _facts_of(path: Path, kind: Kind, context: QueryContext) -> Facts:
    state: State = (str(path), -1, -1)
    try:
        state = file_state(path)
        if not context.library.is_weights(path):
            return Facts(state, {"note": "A pickle, which is opened only where the settings allow it."})
        header = context.library.header(path)
        return (_lora if kind == "lora" else _words)(state, header)
    except SfumatoError as error:
        return Facts(state, {"problem": str(error)})
    except OSError as error:
        return Facts(state, {"problem": f"It cannot be read: {error}."})


def _lora(state: State, header: Any) -> Facts:
    one = describe(header)
    changes = set(one.kinds) - {kind.name for kind in PLAIN}  # whole weights alone make a model
    fields = {
        "alias": header.metadata.get(ALIAS, ""),
        "family": one.made_for,
        "label": one.title,
        "base_model": one.base_model,
        "networks": one.kinds,
        "ranks": tuple(one.ranks),
        "trigger_words": one.trigger_words,
        "tags": tuple(one.tags)[:12],
        "about": {name: text[:500] for name, text in one.about.items()},
        "problem": "" if changes else "It holds no changes of layers that are known: it is no LoRA.",
        "note": f"{len(one.unknown)} of its tensors are not known." if one.unknown and one.kinds else "",
    }
    return Facts(state, fields, width_of(header))


def _words(state: State, header: Any) -> Facts:
    width = words_width(header)
    problem = "" if width else "It holds no learned word."
    return Facts(state, {"family": family_of_words(width), "problem": problem}, width)


def _item(
    path: Path, kind: Kind, name: str, facts: Facts | None, model: ModelInfo | None
) -> AdapterItem | None:
    """None where the file is gone by now."""
    try:
        stat = path.stat()
    except OSError:
        return None
    fields: dict[str, Any] = dict(facts.fields) if facts else {"read": False}
    if fields.get("alias") in (name, path.stem):
        fields["alias"] = ""
    if facts and model and not fields.get("problem"):
        fields |= _match(kind, facts, model)
    return AdapterItem(
        name=name,
        kind=kind,
        path=path,
        size=stat.st_size,
        modified=stat.st_mtime,
        **fields,
    )


def _match(kind: Kind, facts: Facts, model: ModelInfo) -> dict[str, Any]:
    family = str(facts.fields.get("family", ""))
    called = model.label or model.family
    if kind == "embedding":
        matches = words_match(facts.width, model)
        made = f"It has {facts.width} features" if matches is False else ""
        return {
            "matches": matches,
            "warning": made and f"{made}, and the text encoder of '{model.name}' ({called}) reads others.",
        }
    matches = lora_matches(family, facts.width, model)
    if matches is not False:
        return {"matches": matches}
    if family in families_for(model):
        own = model.sizes.get("hidden_size")
        why = f"Made for layers of width {facts.width}; those of '{model.name}' have {own}."
    else:
        why = f"Made for {family}; '{model.name}' is {called}."
    return {"matches": False, "warning": why}


def _names_in(folders: Iterable[Path]) -> dict[Path, frozenset[str]]:
    """What lies in each folder; to ask for every possible preview by itself would cost most of the time."""
    found = {}
    for folder in folders:
        try:
            found[folder] = frozenset(os.listdir(folder))
        except OSError:
            found[folder] = frozenset()
    return found


def _folders(kind: Kind, context: QueryContext) -> tuple[Path, ...]:
    folder = FOLDERS[kind]
    own = [root / folder for root in context.library.roots]
    return tuple(dict.fromkeys([*own, *context.library.folders(folder)]))
