"""Forms made from schemas: a field of a request, a plugin's option or a setting becomes a control.

Nothing here knows a field by name. The annotation says what kind of control it is, pydantic's constraints
give the bounds, and `sfumato.request.schema.group` gives group, unit, step and the rest; so what a plugin
adds shows up by itself. The templates in ``templates/forms`` draw the result, ``static/js/forms`` reads it.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from sfumato.sampling import Option

FieldKind = Literal[
    "integer",
    "number",
    "switch",
    "maybe",
    "choice",
    "lookup",
    "text",
    "colour",
    "picture",
    "pictures",
    "list",
    "pairs",
    "section",
]
"""What draws a field: "maybe" is yes, no or open; "choice" has a few fixed words, "lookup" names from a
source, sought as one types; "list" several texts, "pairs" names with values; "section" holds fields."""

UNGROUPED = "General"
COLOUR_PATTERN = "[0-9a-fA-F]{6}$"
LONGEST_SLIDER = 4096
"""Steps between the bounds up to which a slider is of use beside the number."""


@dataclass(frozen=True)
class FormField:
    """One control.

    Attributes:
        path: Where its value stands in the request, dotted: "hires.scale".
        source: What its choices are called at ``/api/v1/choices/<source>``.
        optional: Whether it may be left open; an open one takes what somebody else recommends.
        above: The bound that a number must exceed, where `minimum` would not say so.
        step: Between one value of a number and the next; a number without one takes any.
        lines: Height of a text.
        fields: Those of a section.
        extra: All that the schema says beside, for pages that know more.
    """

    path: str
    title: str
    description: str
    kind: FieldKind
    default: Any = None
    required: bool = False
    optional: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    source: str = ""
    lines: int = 1
    group: str = UNGROUPED
    advanced: bool = False
    fields: tuple[FormField, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slides(self) -> bool:
        """Whether a slider shows where a value lies between its bounds."""
        if self.minimum is None or self.maximum is None or not self.step:
            return False
        return (self.maximum - self.minimum) / self.step <= LONGEST_SLIDER

    @property
    def labelled_choices(self) -> tuple[tuple[str, str], ...]:
        """Each choice with the words that are shown for it."""
        return tuple((word, word.replace("_", " ").capitalize()) for word in self.choices)

    @property
    def switched(self) -> bool:
        """Whether a section is switched on and off as a whole."""
        return self.kind == "section" and self.optional


@dataclass(frozen=True)
class FormGroup:
    """Fields that stand together; sections are groups of their own."""

    name: str
    fields: tuple[FormField, ...]

    @property
    def advanced(self) -> bool:
        """Whether a simple form shows nothing of it."""
        return all(member.advanced for member in self.fields)


def form_of(
    schema: type[BaseModel], prefix: str = "", leave_out: Collection[str] = ()
) -> tuple[FormGroup, ...]:
    """The groups of a schema's fields, in the order of their first fields.

    Args:
        prefix: What all paths begin with, such as "model_options".
        leave_out: Names of fields that have no control.
    """
    groups: dict[str, list[FormField]] = {}
    for member in fields_of(schema, prefix, leave_out):
        groups.setdefault(member.group, []).append(member)
    return tuple(FormGroup(name, tuple(members)) for name, members in groups.items())


def fields_of(
    schema: type[BaseModel], prefix: str = "", leave_out: Collection[str] = ()
) -> tuple[FormField, ...]:
    """A control for each field of a schema, in its order."""
    return tuple(
        _field(_join(prefix, name), info)
        for name, info in schema.model_fields.items()
        if name not in leave_out
    )


def option_fields(options: Iterable[Option], prefix: str = "") -> tuple[FormField, ...]:
    """Controls for the options of a sampler, scheduler, upscaler or stage."""
    return tuple(_option_field(option, _join(prefix, option.name)) for option in options)


def section(path: str, title: str, description: str, fields: tuple[FormField, ...]) -> FormField:
    """A part of a form that is switched on and off as a whole."""
    return FormField(path, title, description, "section", optional=True, fields=fields, group=title)


def at(groups: Iterable[FormGroup], path: str) -> FormField:
    """The field at a path, in sections too.

    Raises:
        KeyError: there is none.
    """
    waiting = [member for group in groups for member in group.fields]
    while waiting:
        member = waiting.pop()
        if member.path == path:
            return member
        waiting.extend(member.fields)
    raise KeyError(path)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _field(path: str, info: FieldInfo) -> FormField:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    members = _members(info.annotation)
    schema = next((m for m in members if inspect.isclass(m) and issubclass(m, BaseModel)), None)
    kind: FieldKind = "section" if schema else _kind(members, extra, info)
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    return FormField(
        path=path,
        title=info.title or path.rpartition(".")[2].replace("_", " ").capitalize(),
        description=info.description or "",
        kind=kind,
        default=None if schema else to_jsonable_python(default, fallback=str),
        required=info.is_required(),
        optional=type(None) in members,
        step=_step(kind, extra),
        unit=str(extra.get("unit", "")),
        choices=_words(members),
        source=str(extra.get("choices", "")),
        lines=int(str(extra.get("lines", 1))),
        group=str(extra.get("group", info.title if schema and info.title else UNGROUPED)),
        advanced=bool(extra.get("advanced", False)),
        fields=fields_of(schema, path) if schema else (),
        extra=extra,
        **_bounds(info),
    )


def _members(annotation: Any) -> tuple[Any, ...]:
    """What a value may be: ``int | None`` is both."""
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _words(members: Iterable[Any]) -> tuple[str, ...]:
    """The words of ``Literal["one", "two"]``, of each item where it is a list of them."""
    return tuple(str(word) for member in members for word in _literal(member))


def _literal(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (tuple, list, set, frozenset):
        return tuple(word for item in get_args(annotation) for word in _literal(item))
    return ()


def _kind(members: tuple[Any, ...], extra: Mapping[str, Any], info: FieldInfo) -> FieldKind:
    """What control suits the annotation; what is of no known kind is written as text."""
    tests: tuple[tuple[FieldKind, Callable[[Any], bool]], ...] = (
        ("pairs", lambda member: get_origin(member) is dict or member is dict),
        ("list", lambda member: get_origin(member) in (tuple, list, set, frozenset)),
        ("choice", lambda member: get_origin(member) is Literal),
        ("number", lambda member: member is float),
        ("integer", lambda member: member is int),
        ("switch", lambda member: member is bool),
        ("picture", lambda member: member is Path and bool(extra.get("picture"))),
    )
    matching = (kind for kind, suits in tests if any(map(suits, members)))
    found: FieldKind = next(matching, "text")
    if found == "list" and extra.get("picture"):
        return "pictures"
    if found == "switch" and type(None) in members:
        return "maybe"
    if found == "text" and extra.get("choices"):
        return "lookup"
    return "colour" if found == "text" and _pattern(info).endswith(COLOUR_PATTERN) else found


def _pattern(info: FieldInfo) -> str:
    return next((str(rule.pattern) for rule in info.metadata if getattr(rule, "pattern", None)), "")


def _step(kind: FieldKind, extra: Mapping[str, Any]) -> float | None:
    if kind not in ("integer", "number"):
        return None
    given = extra.get("step")
    return float(given) if given else (1.0 if kind == "integer" else None)


def _bounds(info: FieldInfo) -> dict[str, float | None]:
    """`minimum`, `maximum` and `above` as pydantic has them; open upper bounds are left to the schema."""
    found: dict[str, float | None] = {"minimum": None, "maximum": None, "above": None}
    for rule in info.metadata:
        for constraint, name in (("ge", "minimum"), ("le", "maximum"), ("gt", "above")):
            value = getattr(rule, constraint, None)
            if isinstance(value, (int, float)):
                found[name] = float(value)
    return found


def _option_field(option: Option, path: str) -> FormField:
    words = {bool: "switch", int: "integer", float: "number"}
    kind = "choice" if option.choices else words.get(type(option.default), "text")
    return FormField(
        path=path,
        title=option.name.replace("_", " ").capitalize(),
        description=option.description,
        kind=kind,  # type: ignore[arg-type]  # the words above are kinds
        default=option.default,
        minimum=option.minimum,
        maximum=option.maximum,
        step={"integer": 1.0, "number": 0.01}.get(kind),
        choices=option.choices,
        advanced=True,
    )
