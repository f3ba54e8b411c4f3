"""Which files requests of clients may name.

A client names what it brought (``upload:<id>``), what the gallery knows (``picture:<id>``), or what lies
below the output folder, the uploads or the gallery's folders. Models and their like go by name, or by a path
below the model folders. Everything else is refused, whether it exists or not.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sfumato.errors import BadInput, UnknownName
from sfumato.library import FOLDERS
from sfumato.request import Axis, GenerationRequest, PromptList
from sfumato.request.schema import in_words, load_model
from sfumato.studio import Studio
from sfumato_ui_web.api.endpoints import Refusal, pointer
from sfumato_ui_web.uploads import PREFIX, Uploads

PICTURE_PREFIX = "picture:"
NAMED_FILES = ("models", "upscalers", "face_restorers", "parts", "loras", "embeddings", "vae")
"""Fields whose `choices` these are take names, or paths below the model folders."""

_PATH_MARKS = ("picture", "folder", "text_file")
_ABSOLUTE = re.compile(r"[/\\~]|[A-Za-z]:[/\\]|[A-Za-z][A-Za-z0-9+.-]*:/|file:", re.IGNORECASE)
_STEPS = re.compile(r"(^|[/\\])\.{1,2}([/\\]|$)")
_LONGEST = 4096

Place = tuple[int | str, ...]


class PathRules:
    """Checks requests of clients and turns the names in them into paths."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.uploads = Uploads(studio.settings)

    def checked_request(
        self, kind: str, request: Mapping[str, Any], place: Place = ("request",)
    ) -> BaseModel:
        """The request of a kind of work, its files found.

        Args:
            place: Where it stands in the body, for the pointers of errors.

        Raises:
            UnknownName: no plugin does such work.
            Refusal: 403 for a file that clients may not name, 422 for what cannot be.
        """
        return self.checked(self._model(kind), request, place)

    def found(self, kind: str, request: Mapping[str, Any], place: Place = ("request",)) -> dict[str, Any]:
        """The fields of a request with its files found, otherwise unchecked; raises as `checked_request`."""
        return self._fields(self._model(kind), request, place)

    def _model(self, kind: str) -> type[BaseModel]:
        entry = self._studio.registries.tasks.get(kind)
        if not entry.info.request:
            raise BadInput(f"Work of the kind '{kind}' cannot be queued.")
        model: type[BaseModel] = load_model(entry.info.request)
        return model

    def checked(self, model: type[BaseModel], values: Mapping[str, Any], place: Place = ()) -> BaseModel:
        """As `checked_request`, for any model."""
        found = self._fields(model, values, place)
        try:
            return model.model_validate(found)
        except ValidationError as error:
            wrong = error.errors(include_url=False)
            raise Refusal(
                422,
                "The request cannot be carried out.",
                why=f"{'; '.join(map(in_words, wrong))}.",
                wrong=[(pointer((*place, *each["loc"])), each["msg"]) for each in wrong],
            ) from error

    def path(self, text: str, place: Place = ()) -> str:
        """The absolute path that a client's text means; raises `Refusal`."""
        self._check_text(text, place)
        for prefix, find in ((PREFIX, self.uploads.path_of), (PICTURE_PREFIX, self._picture)):
            if text.startswith(prefix):
                try:
                    return str(find(text.removeprefix(prefix)))
                except UnknownName as error:
                    raise Refusal(422, error.what, hint=error.hint, pointer=pointer(place)) from error
        if not text.startswith(("~", "\\\\", "//")) and "://" not in text:
            real = os.path.realpath(text)
            if _is_below(real, self._readable):
                return real
        raise self._forbidden(place)

    def name(self, text: str, place: Place = ()) -> str:
        """The same name, if it is one, or a path below the model folders; raises `Refusal`."""
        self._check_text(text, place)
        if _looks_like_a_path(text):
            if Path(text).is_absolute() and _is_below(os.path.realpath(text), self._model_folders):
                return text
            raise self._forbidden(place)
        if os.path.lexists(text) and not self._is_known(text):  # it would be taken for a path
            raise self._forbidden(place)
        return text

    def _fields(self, model: type[BaseModel], values: Mapping[str, Any], place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in values.items():
            field = model.model_fields.get(name)
            here = (*place, name)
            found[name] = value if field is None else self._field(field, name, value, here)
        if isinstance(kind := values.get("kind"), str) and isinstance(values.get("request"), dict):
            found["request"] = self._of_kind(kind, values["request"], (*place, "request"))
        if model is Axis and "values" in found:
            found["values"] = self._axis(found, place)
        if model is PromptList:
            self._check_prompts(found, place)
        return found

    def _of_kind(self, kind: str, request: dict[str, Any], place: Place) -> Any:
        """A request within a question, such as what some work would come to."""
        tasks = self._studio.registries.tasks
        target = tasks.get(kind).info.request if kind in tasks else ""
        return (
            self._fields(load_model(target), request, place) if target else self._anything(request, place, "")
        )

    def _field(self, field: FieldInfo, name: str, value: Any, place: Place) -> Any:
        shown = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        kinds = set(_kinds(field.annotation))
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if Path in kinds or any(shown.get(mark) for mark in _PATH_MARKS):
            return _each(value, self.path, place)
        if shown.get("choices") in NAMED_FILES or name == "model":
            return _each(value, self.name, place)
        if sections:
            return self._section(sections[0], value, place)
        return self._anything(value, place, name) if Any in kinds or dict in kinds else value

    def _section(self, model: type[BaseModel], value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            return self._fields(model, value, place)
        if isinstance(value, list):
            return [self._section(model, part, (*place, index)) for index, part in enumerate(value)]
        return value

    def _anything(self, value: Any, place: Place, name: str) -> Any:
        """What no schema describes: no text in it, prompts aside, may lead out of the folders."""
        if isinstance(value, dict):
            return {key: self._anything(part, (*place, key), str(key)) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._anything(part, (*place, index), name) for index, part in enumerate(value)]
        if isinstance(value, str) and "prompt" not in name:
            return self._path_or_text(value, place)
        return value

    def _path_or_text(self, text: str, place: Place) -> str:
        if text.startswith((PREFIX, PICTURE_PREFIX)):
            return self.path(text, place)
        if _looks_like_a_path(text):
            below_models = Path(text).is_absolute() and _is_below(os.path.realpath(text), self._model_folders)
            return text if below_models else self.path(text, place)
        return text

    def _axis(self, axis: Mapping[str, Any], place: Place) -> Any:
        """Values of a field that takes names or paths are checked as such."""
        field, values = str(axis.get("field", "")).lower(), axis.get("values", ())
        if "prompt" in field or not isinstance(values, (list, tuple)):
            return values
        check = (
            self._name_or_path if re.search("model|checkpoint|upscaler|parts|vae|image|mask", field) else None
        )
        return [
            (check or self._path_or_text)(value, (*place, "values", index))
            if isinstance(value, str)
            else value
            for index, value in enumerate(values)
        ]

    def _name_or_path(self, text: str, place: Place) -> str:
        found = self._path_or_text(text, place)
        return found if found != text or _looks_like_a_path(text) else self.name(text, place)

    def _check_prompts(self, prompts: Mapping[str, Any], place: Place) -> None:
        """Lists of prompts hold requests, which may name files; those are checked, not changed."""
        lines, file = prompts.get("lines", ()), prompts.get("file")
        entries: Iterable[Any] = lines if isinstance(lines, (list, tuple)) else ()
        where = (*place, "lines")
        if isinstance(file, str):
            entries, where = _entries(Path(file)), (*place, "file")
        for entry in entries:
            if isinstance(entry, dict):
                self._fields(GenerationRequest, entry, where)
            elif isinstance(entry, str) and entry.lstrip().startswith("--"):
                for text in _option_texts(entry):
                    self._name_or_path(text, where)

    def _picture(self, identity: str) -> Path:
        """Where a picture of the gallery is; raises `UnknownName`."""
        from sfumato_ui_web.api.job_answers import picture_id

        if re.fullmatch(r"[0-9a-f]{16}", identity):
            for folder in self._picture_folders:
                for base, _, names in os.walk(folder):
                    for name in names:
                        if picture_id(os.path.join(base, name)) == identity:
                            return Path(base, name)
        raise UnknownName("picture", identity, ())

    @cached_property
    def _picture_folders(self) -> list[Path]:
        settings = self._studio.settings
        gallery = getattr(settings, "gallery", None)
        more = gallery.folders if gallery is not None else ()
        return [
            Path(settings.general.output_folder).absolute(),
            *(Path(folder).absolute() for folder in more),
        ]

    @cached_property
    def _readable(self) -> list[str]:
        return [os.path.realpath(folder) for folder in (*self._picture_folders, self.uploads.folder)]

    @property
    def _model_folders(self) -> list[str]:
        registered = (Path(str(entry.target)) for entry in self._studio.registries.models)
        brought = [path if path.is_dir() else path.parent for path in registered]
        return [os.path.realpath(folder) for folder in (*self._studio.library.roots, *brought)]

    def _is_known(self, name: str) -> bool:
        """Whether a model or another file of the model folders answers to it, before any path does."""
        registries, parts = self._studio.registries, tuple(name.replace("\\", "/").split("/"))
        if any(name in each for each in (registries.models, registries.upscalers, registries.face_restorers)):
            return True
        files = (path for kind in FOLDERS for path in self._studio.library.files(kind))
        return any(
            parts in (path.parts[-len(parts) :], path.with_suffix("").parts[-len(parts) :]) for path in files
        )

    def _check_text(self, text: str, place: Place) -> None:
        if "\0" in text or len(text) > _LONGEST:
            raise Refusal(
                422,
                "This is no name of a file.",
                why="It is too long, or has NUL in it.",
                pointer=pointer(place),
            )

    def _forbidden(self, place: Place) -> Refusal:
        return Refusal(
            403,
            "Clients may not name that file.",
            why="It is not below the output folder, the gallery's folders or the model folders.",
            hint="Upload the file first (POST /api/v1/uploads) and name it 'upload:<id>'.",
            pointer=pointer(place),
        )


def _each(value: Any, check: Callable[[str, Place], str], place: Place) -> Any:
    """A text, or the texts of a list or table, checked."""
    if isinstance(value, str):
        return check(value, place)
    if isinstance(value, (list, tuple)):
        return [_each(part, check, (*place, index)) for index, part in enumerate(value)]
    if isinstance(value, dict):
        return {key: _each(part, check, (*place, key)) for key, part in value.items()}
    return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """All types that an annotation mentions."""
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _looks_like_a_path(text: str) -> bool:
    """Whether it leads somewhere by itself: absolute on any system, upwards, or by an address."""
    return bool(_ABSOLUTE.match(text) or _STEPS.search(text))


def _is_below(real: str, folders: Iterable[str]) -> bool:
    return any(real == folder or real.startswith(os.path.join(folder, "")) for folder in folders)


def _entries(file: Path) -> list[Any]:
    """What a list of prompts holds; nothing where it is none: whoever draws it will say so."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        found = json.loads(text) if file.suffix.lower() == ".json" else text.splitlines()
    except (OSError, ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _option_texts(line: str) -> list[str]:
    """The values of a line ``--name value``, those of prompts aside."""
    try:
        words = shlex.split(line)
    except ValueError:  # no such line is drawn
        return []
    options: list[list[str]] = []
    for word in words:
        if word.startswith("--"):
            options.append(word[2:].split("=", 1))
        elif options:
            options[-1].append(word)
    return [" ".join(values) for name, *values in options if values and "prompt" not in name]
