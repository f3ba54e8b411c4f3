"""The models that exist: brought by plugins, or lying in the user's model folders.

Nothing here reads a weight: a model is known by its header, read by a registered weight format and
understood by a registered model family.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sfumato.errors import BadInput, CheckpointError, SfumatoError, UnknownName
from sfumato.file_hashes import FileHashes
from sfumato.model_paths import answers_to, each_once, existing, is_later_piece, suffix, walk
from sfumato.models import (
    CheckpointHeader,
    ModelFamily,
    ModelFamilyInfo,
    ModelInfo,
    RegisteredModelInfo,
    WeightFormat,
    WeightFormatInfo,
)
from sfumato.quantisation import Quantisation
from sfumato.registry import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.registries import Registries

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)

FOLDERS: Mapping[str, tuple[str, ...]] = {
    "checkpoints": ("checkpoints", "Stable-diffusion"),
    "diffusion_models": ("diffusion_models", "unet"),
    "vae": ("vae", "VAE"),
    "text_encoders": ("text_encoders", "text_encoder", "clip"),
    "tokenizers": ("tokenizers",),
    "loras": ("loras", "Lora", "LyCORIS"),
    "embeddings": ("embeddings",),
    "upscale_models": ("upscale_models", "ESRGAN", "RealESRGAN", "SwinIR", "DAT", "HAT"),
    "vae_approx": ("vae_approx", "VAE-approx", "VAE-taesd"),
}
"""Sub-folders of a model folder: our name first, then the names ComfyUI, A1111 and Forge use."""

_ALSO: Mapping[str, tuple[str, ...]] = {
    "upscale_models": (".pth", ".pt", ".ckpt"),
    "embeddings": (".pt", ".bin"),
    "loras": (".pt", ".ckpt"),
    "vae_approx": (".pth", ".pt"),
}
"""Endings of files that those who read a folder know, beside those of weight formats."""

_KEPT_HEADERS = 16
"""Of some 1 MB each: detecting and loading a model reads its header three times."""

_BROUGHT = ("loras", "embeddings")
"""What a plugin may bring for its model, in a sub-folder beside it."""

_GGUF = ".gguf"
_PICKLE = (
    "Pickle checkpoints can run any program when they are opened.",
    "Get the model as .safetensors, or convert it with a tool you trust.",
)
_REFUSED = {  # by ending: why, and what to do; unless a weight format claims it
    _GGUF: (
        "No plugin that is installed and works reads GGUF files.",
        "Install one (pip install sfumato-quant-gguf), or get the model as .safetensors.",
    ),
    **dict.fromkeys((".ckpt", ".pt", ".pth", ".bin", ".pkl"), _PICKLE),
}


@dataclass(frozen=True)
class _Reading:
    """What a file holds.

    Attributes:
        header: As families see it: whatever is packed looks plain.
        packed: What quantisations folded away, in order, and the headers that they did it to.
    """

    header: CheckpointHeader
    packed: Sequence[tuple[Quantisation, CheckpointHeader]]


class ModelLibrary:
    """Finds models and their parts.

    Args:
        roots: The model folders; missing ones are ignored.
        registries: Where weight formats, model families and registered models come from.
        hashes: Remembers file hashes between runs.
        default_model: Name or path used when a request names no model.

    Attributes:
        problems: Files that a scan could not understand, with the reason.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        registries: Registries,
        hashes: FileHashes,
        default_model: str | None = None,
    ) -> None:
        self.roots = tuple(roots)
        self.problems: dict[Path, SfumatoError] = {}
        self._registries = registries
        self._hashes = hashes
        self._default_model = default_model
        self._readings: dict[tuple[Path, int, int], _Reading] = {}

    def models(self) -> list[ModelInfo]:
        """Every model, the registered ones first; damaged files go to `problems`."""
        self.problems.clear()
        found: list[ModelInfo] = []
        for entry in self._registries.models:
            self._collect(Path(str(entry.target)), found, entry)
        for path in each_once(self._candidates()):
            self._collect(path, found)
        return found

    def _collect(
        self, path: Path, found: list[ModelInfo], entry: Entry[RegisteredModelInfo] | None = None
    ) -> None:
        try:
            found.append(self._registered(entry) if entry else self.detect(path))
        except SfumatoError as error:
            log.debug("'%s' cannot be read", path, exc_info=True)
            self.problems[path] = error
        except OSError as error:
            self.problems[path] = CheckpointError(f"'{path.name}' cannot be read.", why=f"{error}.")

    def find(self, name: str | None) -> ModelInfo:
        """The model of that name, alias or path; without one, the default model.

        A name goes before a path: no file in the working directory hides a model; "./name" is a path.
        Of models with one name the outermost answers, and "folder/name" any other.

        Raises:
            UnknownName: no model answers to it.
            CheckpointError: the file is damaged or of no known family.
        """
        name = name or self._default_model
        if name is None:
            return self._first_registered()
        if name in self._registries.models:
            return self._registered(self._registries.models.get(name))
        candidates = self._candidates()
        for candidate in sorted(candidates, key=lambda path: len(path.parts)):
            if answers_to(candidate, name):
                return self.detect(candidate)
        path = existing(name)
        if path is not None:
            return self.detect(path)
        known = [entry.info.name for entry in self._registries.models] + [c.stem for c in candidates]
        raise UnknownName("model", name, known, hint="'sfumato models' lists them; a path works too.")

    def _first_registered(self) -> ModelInfo:
        broken: SfumatoError | None = None
        for entry in self._registries.models:
            try:
                return self._registered(entry)
            except SfumatoError as error:
                broken = broken or error
        if broken:
            raise broken
        raise BadInput(
            "No model is installed.",
            hint="Name one with --model PATH, or install the embedded one: pip install sfumato-model-emoji",
        )

    def _registered(self, entry: Entry[RegisteredModelInfo]) -> ModelInfo:
        given = entry.info
        with entry.answerable("be found"):
            path = Path(entry.target)
        detected = self.detect(path)
        return detected.model_copy(
            update={
                "name": given.name,
                "label": given.label,
                "defaults": given.defaults or detected.defaults,
                "options": {**detected.options, **given.options},
            }
        )

    def detect(self, path: Path) -> ModelInfo:
        """What a checkpoint file or model folder is.

        Raises:
            CheckpointError: it is damaged, unsafe, or no installed family knows it.
        """
        header = self.header(path)
        for entry in self._registries.model_families:
            info = _asked(entry, header)
            if info is not None:
                return info
        families = ", ".join(entry.info.label for entry in self._registries.model_families) or "none"
        raise CheckpointError(
            f"'{path.name}' is not a model that Sfumato knows.",
            why=f"Its {len(header.tensors)} tensors fit none of the installed families ({families}).",
            hint="It may be a part (VAE, text encoder) or a LoRA, or need a plugin that is not installed.",
        )

    def header(self, path: Path) -> CheckpointHeader:
        """What a file or folder holds; a file's is kept for as long as the file stays as it is.

        Raises `CheckpointError` for damaged or unsafe files, `BadInput` for files that hold no weights.
        """
        return self._read(path).header

    def open_tensors(self, path: Path) -> Mapping[str, Tensor]:
        """The tensors of a file or model folder, memory-mapped."""
        weight_format: WeightFormat = self._format(path).load()()
        tensors = weight_format.open_tensors(path)
        for quantisation, packed in self._read(path).packed:
            tensors = quantisation.open(packed, tensors)
        return tensors

    def _read(self, path: Path) -> _Reading:
        entry = self._format(path)
        key = _state(path)
        if key in self._readings:
            return self._readings[key]
        with entry.answerable(f"read '{path.name}'"):
            weight_format: WeightFormat = entry.load()()
            header = _expected(CheckpointHeader, weight_format.read_header(path))
        reading = self._folded(header)
        if path.is_file():
            while len(self._readings) >= _KEPT_HEADERS:
                self._readings.pop(next(iter(self._readings)))
            self._readings[key] = reading
        return reading

    def _folded(self, header: CheckpointHeader) -> _Reading:
        packed: list[tuple[Quantisation, CheckpointHeader]] = []
        for quantisation in self._quantisations():
            unpacked = quantisation.unpacked(header)
            if unpacked is not None:
                packed.append((quantisation, header))
                header = unpacked
        return _Reading(header, packed)

    def quantisation(self, name: str) -> Quantisation:
        """What packs weights so; raises `UnknownName` where nothing does."""
        quantisation: Quantisation = self._registries.quantisations.get(name).load()()
        return quantisation

    def _quantisations(self) -> Iterator[Quantisation]:
        """Those that can be used; a broken one is passed over, as its files are then told to be packed."""
        for entry in self._registries.quantisations:
            try:
                quantisation: Quantisation = entry.load()()
            except SfumatoError as error:
                log.warning("The quantisation '%s' is passed over: %s", entry.info.name, error)
            else:
                yield quantisation

    def _format(self, path: Path) -> Entry[WeightFormatInfo]:
        if not path.exists():
            raise BadInput(f"There is no file or folder '{path}'.", hint="Check the path.")
        if not (path.is_file() or path.is_dir()):  # reading a pipe or a device may never end
            raise BadInput(f"'{path}' is neither a file nor a folder.", hint="Name a weights file.")
        for entry in self._registries.weight_formats:
            marker = entry.info.folder_marker
            in_folder = bool(marker) and path.is_dir()
            if (path / marker).is_file() if in_folder else suffix(path) in entry.info.suffixes:
                return entry
        raise self._unreadable(path)

    def _unreadable(self, path: Path) -> CheckpointError:
        """The error for a file or folder that no weight format claims."""
        readable = ", ".join(self._suffixes()) or "none"
        markers = " or ".join(self._markers()) or "a model index"
        if path.is_dir():
            return CheckpointError(
                f"The folder '{path}' is not a model.",
                why=f"It has no {markers}.",
                hint=f"Name the folder that has it, or one file ({readable}).",
            )
        if suffix(path) in _REFUSED:
            why, hint = _REFUSED[suffix(path)]
            return CheckpointError(f"'{path.name}' is refused.", why=why, hint=hint)
        return CheckpointError(
            f"'{path.name}' is not a weights file.",
            hint=f"Readable: {readable}, and a folder with {markers}.",
        )

    def files(self, folder: str) -> list[Path]:
        """Weight files below every model folder's sub-folder of that kind, sorted by path.

        Links keep their own path and name; a file that several paths lead to comes once, and so does one that
        was split.
        """
        paths = (path for base in self.folders(folder) for path in walk(base))
        also = _ALSO.get(folder, ())
        known = (path for path in paths if self.is_weights(path) or suffix(path) in also)
        return each_once(sorted(path for path in known if not is_later_piece(path)))

    def is_weights(self, path: Path) -> bool:
        """Whether a file's ending is that of weights.

        GGUF's counts though no plugin may read it: who looks for the file is to be told so.
        """
        return suffix(path) in (*self._suffixes(), _GGUF)

    def folders(self, folder: str) -> list[Path]:
        """The existing sub-folders of that kind, those beside models of plugins last.

        Raises `KeyError` for a kind not in `FOLDERS`.
        """
        names = FOLDERS[folder]
        bases = [*self.roots, *(self._brought() if folder in _BROUGHT else ())]
        return [base / name for base in bases for name in names if (base / name).is_dir()]

    def _brought(self) -> Iterator[Path]:
        """The folders of models that plugins bring, each once."""
        targets = (Path(str(entry.target)) for entry in self._registries.models)
        yield from dict.fromkeys(target if target.is_dir() else target.parent for target in targets)

    def sha256(self, path: Path) -> str:
        """The file's SHA-256 in hex; remembered by path, size and modification time."""
        return self._hashes.sha256(path)

    def known_sha256(self, path: Path) -> str:
        """The file's SHA-256 if it is remembered, else nothing: no file is read."""
        return self._hashes.known(path)

    def _candidates(self) -> list[Path]:
        """Model folders, then the weight files outside of them; links come beside what they lead to."""
        bases = self.folders("checkpoints") + self.folders("diffusion_models")
        paths = [path for base in bases for path in walk(base)]
        markers = self._markers()
        folders = {path.parent for path in paths if path.name in markers}
        loose = [path for path in paths if self.is_weights(path) and folders.isdisjoint(path.parents)]
        files = [path for path in loose if not is_later_piece(path)]
        return sorted(folders) + sorted(files)

    def _markers(self) -> list[str]:
        return [e.info.folder_marker for e in self._registries.weight_formats if e.info.folder_marker]

    def _suffixes(self) -> tuple[str, ...]:
        return tuple(ending for entry in self._registries.weight_formats for ending in entry.info.suffixes)


def _state(path: Path) -> tuple[Path, int, int]:
    """Equal while a file stays as it is."""
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


def _asked(entry: Entry[ModelFamilyInfo], header: CheckpointHeader) -> ModelInfo | None:
    """What one family says of a checkpoint; a broken one is passed over, for others may know it."""
    try:
        with entry.answerable("be asked about models"):
            family: ModelFamily = entry.load()()
            info = family.detect(header)
            return info and _expected(ModelInfo, info)
    except CheckpointError:
        raise
    except (SfumatoError, OSError) as error:
        log.warning("The model family '%s' is passed over: %s", entry.info.name, error)
        return None


def _expected(kind: type[Answer], answer: Answer) -> Answer:
    """What a plugin answered; raises `TypeError` when it is no `kind`."""
    if not isinstance(answer, kind):
        raise TypeError(f"it answered {answer!r:.80}, which is no {kind.__name__}")
    return answer
