"""Command-line options made from schemas: those of a request, and the knobs of every model family.

One option a field; title, description, bounds and group come from the pydantic field. The options are
described as parameters of a function, which is typer's public way of declaring them.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sfumato.errors import BadInput
from sfumato.request import GenerationRequest, RequestDefaults
from sfumato.settings_sources import parse_json

OPTION_NAMES = {
    "negative_prompt": "negative",
    "sampler_options": "sampler_option",
    "stages": "stage",
    "negative_minimum_sigma": "ngms",
    "negative_minimum_sigma_all": "ngms_all",
}
"""Fields whose option is not called like the field; A1111 and ComfyUI users know these."""

WIDEST_CHOICE = 20
"""Characters of the choices that help shows in an option's column; longer ones are named in its text."""

METAVARS = {"sampler_options": "NAME=VALUE", "stages": "NAME[.OPTION=VALUE]", "parts": "PART=FILE"}
"""What stands for the value of options that hold several, each with a name."""

LIST_METAVARS = {"styles": "NAME", "regions": "FILE"}
"""What stands for the value of options that are given again and again."""

EXAMPLES = {"sampler_options": "eta=0.5", "parts": "autoencoder=sdxl_vae"}

NOT_OPTIONS = ("prompt", "model_options")
"""The prompt is the argument; model options have one option each, by family."""


@dataclass(frozen=True)
class OptionField:
    """A field of a schema as a command-line option.

    Attributes:
        parameter: The name under which typer hands the value over.
        family: The model family whose knob it is; empty for fields of the request.
        field: The field's name in its schema; dotted where it lies in a section.
        is_switch: Whether it asks for a section, with all its defaults.
    """

    parameter: str
    family: str
    field: str
    is_switch: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.parameter.replace("_", "-")


def request_options() -> dict[OptionField, inspect.Parameter]:
    """The options of `GenerationRequest`; a section's begin with its name, as in ``--hires-scale``."""
    options: dict[OptionField, inspect.Parameter] = {}
    for name, field in GenerationRequest.model_fields.items():
        section = section_of(field)
        if section is not None:
            options.update(_section_options(name, section, field, str(_group(field))))
        elif name not in NOT_OPTIONS:
            option = OptionField(OPTION_NAMES.get(name, name), "", name)
            default = "the model's own" if name in RequestDefaults.model_fields else _default_text(field)
            options[option] = _parameter(option, field, default, _group(field))
    return options


def with_options(
    function: Callable[..., None],
    options: Mapping[OptionField, inspect.Parameter],
    *,
    eval_str: bool = False,
) -> Callable[..., None]:
    """Put options in the place of ``**values`` in the function's signature, which typer reads.

    Args:
        eval_str: Whether its annotations are to be evaluated; of a plugin's command that is done later.
    """
    signature = inspect.signature(function, eval_str=eval_str)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    whole = [*own, *options.values()]
    function.__signature__ = signature.replace(parameters=whole)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in whole}
    return function


def _section_options(
    path: str, section: type[BaseModel], whole: FieldInfo, panel: str
) -> dict[OptionField, inspect.Parameter]:
    """Those of a schema within the request, and a switch for all of it where nothing in it must be given."""
    options: dict[OptionField, inspect.Parameter] = {}
    if not any(field.is_required() for field in section.model_fields.values()):
        option = OptionField(path.replace(".", "_"), "", path, is_switch=True)
        switch = FieldInfo(annotation=bool, default=False, description=whole.description)
        options[option] = _parameter(option, switch, False, panel)
    for name, field in section.model_fields.items():
        inner, deeper = f"{path}.{name}", section_of(field)
        if deeper is not None:
            options.update(_section_options(inner, deeper, field, panel))
            continue
        option = OptionField(inner.replace(".", "_"), "", inner)
        default = False if field.is_required() else _default_text(field)
        options[option] = _parameter(option, field, default, panel)
    return options


def family_options(family: str, label: str, schema: type[BaseModel]) -> dict[OptionField, inspect.Parameter]:
    """The knobs of a model family as ``--<family>-<field>``, in a help panel of their own."""
    options = {}
    for name, field in schema.model_fields.items():
        option = OptionField(f"{family}_{name}", family, name)
        options[option] = _parameter(option, field, _default_text(field), f"{label} options")
    return options


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The schema that a field holds, such as the hires pass; None for a plain value."""
    members = get_args(field.annotation) or (field.annotation,)
    schemas = (m for m in members if inspect.isclass(m) and issubclass(m, BaseModel))
    return next(schemas, None)


def _group(field: FieldInfo) -> str | None:
    extra = field.json_schema_extra
    return str(extra["group"]) if isinstance(extra, dict) and "group" in extra else None


def _default_text(field: FieldInfo) -> str | bool:
    """The default as help shows it. The option itself defaults to None: only what is given is passed on."""
    default = field.get_default(call_default_factory=True)
    return False if default is None or default in ("", {}, (), []) else str(default)


def _parameter(
    option: OptionField, field: FieldInfo, default: str | bool, panel: str | None
) -> inspect.Parameter:
    kind = _option_type(field.annotation)
    can_be_switched_off = kind is bool and field.get_default() is not False
    names = [option.flag, f"--no-{option.flag[2:]}"] if can_be_switched_off else [option.flag]
    low, high = _bounds(field, whole=kind is int)
    declared = typer.Option(
        "/".join(names),
        help=_help(field, kind),
        show_default=default,
        min=low,
        max=high,
        rich_help_panel=panel,
        metavar={**METAVARS, **LIST_METAVARS}.get(option.field) or _metavar(kind),
    )
    return inspect.Parameter(
        option.parameter,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, declared],
    )


def _option_type(annotation: Any) -> Any:
    """What typer parses: a plain type or a choice; mappings and lists are given again and again."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _option_type(members[0]) if len(members) == 1 else str
    if get_origin(annotation) in (dict, tuple):
        return list[str]
    plain = annotation in (bool, int, float) or get_origin(annotation) is Literal
    return annotation if plain else str


def _help(field: FieldInfo, kind: Any) -> str:
    """The description, with the choices that neither it nor the option's column names."""
    text = field.description or ""
    choices = get_args(kind) if get_origin(kind) is Literal and _metavar(kind) else ()
    unnamed = [choice for choice in choices if choice not in text]
    return f"{text} One of {', '.join(choices)}." if unnamed else text


def _metavar(kind: Any) -> str | None:
    """What stands for the value in help; None leaves short choices and switches to typer."""
    if get_origin(kind) is Literal and len("|".join(get_args(kind))) > WIDEST_CHOICE:
        return "NAME"
    return {int: "N", float: "NUMBER", str: "TEXT"}.get(kind)


def _bounds(field: FieldInfo, *, whole: bool) -> tuple[float | None, float | None]:
    """Inclusive bounds. Open ones have no such form for fractions: the schema checks those later."""
    low = high = None
    for constraint in field.metadata:
        low = getattr(constraint, "ge", low)
        high = getattr(constraint, "le", high)
        if whole:
            low = constraint.gt + 1 if hasattr(constraint, "gt") else low
            high = constraint.lt - 1 if hasattr(constraint, "lt") else high
    return low, high


@dataclass(frozen=True)
class ChosenFields:
    """What the user gave: fields of the request, and the knobs of model families by family."""

    request: dict[str, Any]
    families: dict[str, dict[str, Any]]


def chosen_fields(
    options: Mapping[OptionField, inspect.Parameter], values: Mapping[str, Any]
) -> ChosenFields:
    """Sort typer's values back into the schemas they came from; what was not given is left out.

    Raises:
        BadInput: a sampler option is not NAME=VALUE, or a stage not NAME or NAME.OPTION=VALUE.
    """
    chosen = ChosenFields({}, {})
    for option in options:
        value = values.get(option.parameter)
        if value is None or value == [] or (option.is_switch and not value):
            continue
        if option.is_switch:
            value = {}
        elif option.field == "stages":
            value = _stages(option, value)
        elif isinstance(value, list) and option.field in METAVARS:
            value = dict(_pair(option, item) for item in value)
        target = chosen.families.setdefault(option.family, {}) if option.family else chosen.request
        _put(target, option.field.split("."), value)
    return chosen


def _put(target: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value that may lie deeper."""
    *outer, last = path
    for name in outer:
        target = target.setdefault(name, {})
    target[last] = value


def _pair(option: OptionField, text: str, example: str = "") -> tuple[str, Any]:
    """'eta=0.5' is ("eta", 0.5); text that is no number and no true or false stays text."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        written = example or EXAMPLES[option.field]
        raise BadInput(f"'{text}' is not a name with a value.", hint=f"Write {option.flag} {written}")
    return name.strip(), parse_json(value)


def _stages(option: OptionField, texts: list[str]) -> dict[str, dict[str, Any]]:
    """'film_grain' names a stage, 'film_grain.strength=0.3' also sets an option of it."""
    stages: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, separator, setting = text.partition(".")
        options = stages.setdefault(name.strip(), {})
        if separator:
            key, value = _pair(option, setting, f"{name}.strength=0.3")
            options[key] = value
        elif "=" in name:
            raise BadInput(f"'{text}' is not a stage.", hint=f"Write {option.flag} film_grain.strength=0.3")
    return stages
