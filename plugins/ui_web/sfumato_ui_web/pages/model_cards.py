"""What the page Models tells of each file, in one shape for checkpoints, adapters and all others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flask_babel import gettext as _

from sfumato.errors import SfumatoError
from sfumato.models import ModelInfo
from sfumato.previews import preview_beside

if TYPE_CHECKING:
    from sfumato.studio import Studio

Tab = Literal["checkpoints", "loras", "embeddings", "vae", "upscalers"]
TABS: dict[Tab, str] = {
    "checkpoints": "checkpoints",
    "loras": "loras",
    "embeddings": "embeddings",
    "vae": "vae",
    "upscalers": "upscale_models",
}
"""The tabs, with the folder that each shows."""
ADAPTERS = {"loras": "lora", "embeddings": "embedding"}
KEPT_SECONDS = 20.0
"""How long a list of checkpoints is taken as it is: all their headers are read for it."""
LONGEST_FACT = 600


@dataclass(frozen=True)
class Card:
    """One file, or model folder.

    Attributes:
        name: As requests and prompts name it.
        badges: Its family, variant, kind of network ... the most telling first.
        use: What "Use" does: {"model": name} or {"prompt": text}; empty where there is nothing to do.
        matches: Whether it fits the chosen model; None: not known.
    """

    name: str
    title: str
    path: str
    size: int
    modified: float
    preview: str = ""
    badges: tuple[str, ...] = ()
    precision: str = ""
    missing: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    matches: bool | None = None
    warning: str = ""
    problem: str = ""
    hint: str = ""
    note: str = ""
    use: dict[str, str] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Cards:
    """What one tab shows.

    Attributes:
        folders: Where files may be put.
        pending: Files still to be read: ask again.
    """

    items: tuple[Card, ...]
    folders: tuple[str, ...]
    pending: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class ModelCards:
    """Makes the cards of all tabs; safe to use from many threads."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._scanned = 0.0
        self._models: list[ModelInfo] = []
        self._problems: dict[Path, SfumatoError] = {}

    def cards(self, tab: Tab, model: str = "", *, rescan: bool = False) -> Cards:
        """Raises `SfumatoError` where the model that they are to match is not known."""
        if tab in ADAPTERS:
            return self._adapters(tab, model)
        if tab == "checkpoints":
            return self._checkpoints(rescan)
        return self._files(tab)

    def models(self, *, rescan: bool = False) -> tuple[list[ModelInfo], dict[Path, SfumatoError]]:
        """The models, and the files that are none with the reason."""
        with self._lock:
            if rescan or time.monotonic() - self._scanned > KEPT_SECONDS or not self._scanned:
                self._models = self._studio.library.models()
                self._problems = dict(self._studio.library.problems)
                self._scanned = time.monotonic()
            return self._models, self._problems

    def path_of(self, tab: Tab, name: str) -> Path | None:
        """The file behind a card, by its name: no path is taken from a client."""
        if tab == "checkpoints":
            models, problems = self.models()
            found = [info.path for info in models if info.name == name]
            return next(iter([*found, *(path for path in problems if path.name == name)]), None)
        return next((Path(card.path) for card in self.cards(tab).items if card.name == name), None)

    def _checkpoints(self, rescan: bool) -> Cards:
        models, problems = self.models(rescan=rescan)
        taken = Counter(info.name for info in models)
        items = [_checkpoint(info, unique=taken[info.name] == 1) for info in models]
        items += [
            _problem_card(path, f"{error.what} {error.why}".strip(), error.hint)
            for path, error in problems.items()
        ]
        return Cards(tuple(items), self._folders("checkpoints", "diffusion_models"))

    def _adapters(self, tab: Tab, model: str) -> Cards:
        fields = {"kind": ADAPTERS[tab], **({"model": model} if model else {})}
        answer = self._studio.ask("adapters", **fields).model_dump(mode="json")
        items = tuple(_adapter(item) for item in answer["items"])
        folders = tuple(answer["folders"].get(ADAPTERS[tab], ()))
        return Cards(items, folders, answer["pending"])

    def _files(self, tab: Tab) -> Cards:
        folder = TABS[tab]
        items = [card for path in self._studio.library.files(folder) if (card := self._file(tab, path))]
        if tab == "upscalers":
            items = [*self._registered_upscalers({card.name for card in items}), *items]
        return Cards(tuple(items), self._folders(folder))

    def _file(self, tab: Tab, path: Path) -> Card | None:
        facts: tuple[tuple[str, str], ...] = ()
        problem = hint = precision = ""
        try:
            if self._studio.library.is_weights(path):
                header = self._studio.library.header(path)
                counted = Counter(tensor.dtype for tensor in header.tensors.values()).most_common(1)
                precision = counted[0][0] if counted else ""
                facts = ((_("Tensors"), str(len(header.tensors))), *_metadata(header.metadata))
            return _file_card(
                path,
                precision=precision,
                facts=facts,
                note=_("Pictures are enlarged with it on the page Upscale.") if tab == "upscalers" else "",
            )
        except SfumatoError as error:
            problem, hint = f"{error.what} {error.why}".strip(), error.hint
        except OSError:
            return None
        return _problem_card(path, problem, hint)

    def _registered_upscalers(self, files: set[str]) -> list[Card]:
        """Those that need no file, as plugins bring them."""
        return [
            Card(
                name=entry.info.name,
                title=entry.info.label,
                path="",
                size=0,
                modified=0,
                badges=(_("plugin %(name)s", name=entry.plugin),),
                note=_(entry.info.summary) if entry.info.summary else "",
            )
            for entry in self._studio.registries.upscalers
            if entry.info.name not in files
        ]

    def _folders(self, *kinds: str) -> tuple[str, ...]:
        library = self._studio.library
        wanted = [root / kinds[0] for root in library.roots]
        return tuple(dict.fromkeys(str(path) for path in [*wanted, *library.folders(kinds[0])]))


def _checkpoint(info: ModelInfo, *, unique: bool) -> Card:
    path, precision = info.path, _precision(info)
    facts = [
        (_("Family"), info.label or info.family),
        (_("Variant"), info.variant),
        (_("Prediction"), info.prediction),
        (_("Format"), info.format),
        *((_words(part.kind), _part(part)) for part in info.parts),
        *((_words(name), str(value)) for name, value in info.sizes.items()),
        *_metadata(info.metadata),
    ]
    return _file_card(
        path,
        name=info.name,
        title=info.name,
        size=info.size_bytes or None,
        badges=tuple(dict.fromkeys(text for text in (info.label or info.family, info.variant) if text)),
        precision=precision,
        missing=tuple(
            _words(part) for part in info.missing_parts if not part.endswith("_tokenizer")
        ),  # tokenizers come with families and folders; nobody has to look for them
        use={"model": info.name if unique else str(path)},
        facts=tuple((label, text) for label, text in facts if text),
    )


def _adapter(item: dict[str, Any]) -> Card:
    is_lora = item["kind"] == "lora"
    ranks = ", ".join(map(str, item["ranks"]))
    facts = [
        (_("Alias"), item["alias"]),
        (_("Made for"), item["family"]),
        (_("Trained on"), item["base_model"]),
        (_("Kinds"), ", ".join(item["networks"])),
        (_("Ranks"), ranks),
        (_("Trigger words"), ", ".join(item["trigger_words"])),
        (_("Commonest tags"), ", ".join(item["tags"])),
        *item["about"].items(),
    ]
    text = f"<lora:{item['name']}:1>" if is_lora else item["name"]
    return _file_card(
        Path(item["path"]),
        name=item["name"],
        title=item["label"] or item["name"],
        size=item["size"],
        badges=tuple(
            text
            for text in (item["family"], *item["networks"], _("rank %(ranks)s", ranks=ranks) if ranks else "")
            if text
        ),
        words=tuple(item["trigger_words"]),
        matches=item["matches"],
        warning=item["warning"],
        problem=item["problem"],
        note=item["note"] if item["read"] else _("Not read yet."),
        use={} if item["problem"] else {"prompt": text},
        facts=tuple((label, text) for label, text in facts if text),
    )


def _file_card(path: Path, **fields: Any) -> Card:
    """A card with what the disk tells; raises `OSError` where the file is gone."""
    stat = path.stat()
    given = {"name": path.stem, "title": path.stem, "size": stat.st_size, **fields}
    given["size"] = given["size"] or stat.st_size
    return Card(path=str(path), modified=stat.st_mtime, preview=_preview_stamp(path), **given)


def _problem_card(path: Path, problem: str, hint: str) -> Card:
    try:
        size = path.stat().st_size if path.is_file() else 0
    except OSError:
        size = 0
    return Card(path.name, path.name, str(path), size, 0, problem=problem, hint=hint)


def _preview_stamp(path: Path) -> str:
    """When the picture beside a file was made, so that its address changes with it; empty without one."""
    preview = preview_beside(path)
    return str(preview.stat().st_mtime_ns) if preview else ""


def _precision(info: ModelInfo) -> str:
    """The stored type of the largest part."""
    parts = sorted(info.parts, key=lambda part: part.size_bytes)
    return parts[-1].dtype if parts else ""


def _part(part: Any) -> str:
    return f"{part.parameters / 1e6:,.1f} M, {part.dtype}, {part.size_bytes / 1e6:,.1f} MB"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _metadata(metadata: Any) -> list[tuple[str, str]]:
    """Pictures in it, and what is too long to read, are left out."""
    return [
        (name, text if len(text) <= LONGEST_FACT else f"{text[:LONGEST_FACT]} …")
        for name, text in sorted(metadata.items())
        if not text.startswith("data:")
    ]
