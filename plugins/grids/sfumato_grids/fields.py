"""Any field of a request by its dotted path, with the value that a text stands for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sfumato.errors import UnknownName, nearest_names
from sfumato.request import GenerationRequest
from sfumato.settings_sources import parse_json
from sfumato_grids.labels import DENOISING_LABELS, FORGE_LABELS
from sfumato_grids.values import split_values

NOTHING = ("", "none")
"""Texts that empty a field that may be empty."""
REFINER = "refiner.model"
"""Without it there is no refiner; its section cannot be without it."""
_ALSO_NOTHING = ("auto", "automatic")
"""Of parts of a model, A1111's VAE above all."""


@dataclass(frozen=True)
class RequestField:
    """A field of `GenerationRequest`, of a section in it, or one named entry of a table.

    Attributes:
        path: With dots between section and field.
        info: How the field is declared; None for an entry of a table.
    """

    path: str
    info: FieldInfo | None = None

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types it may have, such as int and None."""
        annotation = self.info.annotation if self.info else None
        return get_args(annotation) if _is_union(annotation) else (annotation,)

    @property
    def is_number(self) -> bool:
        if self.info is None:
            return not self.path.startswith("parts.")
        return int in self.kinds or float in self.kinds

    @property
    def is_whole(self) -> bool:
        return int in self.kinds

    @property
    def label(self) -> str:
        return (self.info.title if self.info else None) or self.path.rpartition(".")[2].replace("_", " ")

    def value(self, text: str) -> Any:
        """What a text stands for, converted to the field's type and checked.

        Raises:
            ValueError: the field cannot have it; the message says why.
        """
        plain = text.strip().lower()
        if self.info is None:
            is_part = self.path.startswith("parts.")
            if plain in NOTHING or (is_part and plain in _ALSO_NOTHING):
                return None
            return text if is_part else parse_json(text)
        if plain in NOTHING and (type(None) in self.kinds or self.path == REFINER):
            return None
        if any(get_origin(kind) is tuple for kind in self.kinds):
            return self._checked([] if plain in NOTHING else split_values(text))
        return self._checked(self._choice(text))

    def _choice(self, text: str) -> str:
        """The choice meant, whatever its letter case and spaces; other texts as they are."""
        choices = [each for kind in self.kinds if get_origin(kind) is Literal for each in get_args(kind)]
        if not choices:
            return text
        for choice in choices:
            if str(choice).lower() == text.strip().lower().replace(" ", "_").replace("-", "_"):
                return str(choice)
        near = nearest_names(text, choices)
        raise ValueError(f"did you mean {', '.join(near)}?" if near else f"it is one of {', '.join(choices)}")

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        assert self.info is not None
        kind: Any = Annotated[self.info.annotation, self.info]
        return TypeAdapter(kind)

    def _checked(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise ValueError(_first_reason(error)) from error


def find_field(name: str, also: tuple[str, ...] = ()) -> RequestField:
    """The field of that path, title in A1111's X/Y/Z plot, or title of our own, letter case aside.

    Args:
        also: Other names that are offered when there is none.

    Raises:
        UnknownName: there is none; the nearest names are offered.
    """
    wanted = name.strip()
    for label, path in FORGE_LABELS.items():
        if label.lower() == wanted.lower() and path not in also:
            wanted = path
    known = dict(_all_fields(GenerationRequest))
    usable = {path: info for path, info in known.items() if section_of(info) is None and not _is_table(info)}
    table, _, entry = wanted.partition(".")
    if table in TABLES and entry and (table != "stages" or "." in entry):
        return RequestField(wanted)
    for path, info in usable.items():
        if wanted == path or wanted.lower() == (info.title or "").lower():
            return RequestField(path, info)
    offered = [*usable, *also, *FORGE_LABELS, *DENOISING_LABELS]
    hint = "One option is 'sampler_options.eta', 'model_options.guidance' or 'stages.NAME.OPTION'."
    raise UnknownName("request field", name, offered, hint=hint)


def put(values: dict[str, Any], path: str, value: Any) -> None:
    """Set a value that may lie deeper, in place; None takes an entry of a table out."""
    *outer, last = path.split(".")
    for name in outer:
        if not isinstance(values.get(name), dict):
            values[name] = {}
        values = values[name]
    if value is None and outer and outer[0] in TABLES:
        values.pop(last, None)
    else:
        values[last] = value


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The schema that a field holds, such as the hires pass; None for a plain value."""
    kinds = get_args(field.annotation) or (field.annotation,)
    return next((kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, BaseModel)), None)


def _is_table(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is dict


def _is_union(annotation: Any) -> bool:
    return annotation is not None and type(None) in get_args(annotation)


def _all_fields(schema: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in schema.model_fields.items():
        yield f"{before}{name}", field
        section = section_of(field)
        if section is not None:
            yield from _all_fields(section, f"{before}{name}.")


def _first_reason(error: ValidationError) -> str:
    reason = error.errors()[0]["msg"]
    return reason[:1].lower() + reason[1:]


TABLES = tuple(name for name, field in GenerationRequest.model_fields.items() if _is_table(field))
"""Fields that hold named entries."""
