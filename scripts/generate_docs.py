"""Writes docs/reference from the code; with --check only tells whether its pages are current."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_type_hints

import platformdirs
from bundled_studio import ROOT, bundled_studio
from command_tree import Command, Parameter, command_tree
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sfumato import hookspecs
from sfumato.cli.request_options import section_of
from sfumato.plugins import hook_names
from sfumato.registries import Registries
from sfumato.request import GenerationRequest, GridRequest, RequestDefaults, UpscaleRequest
from sfumato.request.schema import load_model
from sfumato.sampling import Option, SamplerInfo, SchedulerInfo
from sfumato.settings import allowed
from sfumato.studio import Studio
from sfumato_ui_web.api.openapi import openapi
from sfumato_ui_web.app import create_app

REFERENCE = ROOT / "docs" / "reference"
MARK = "<!-- Written by `make docs` from the code; edit that instead. -->\n\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [
        " | ".join(cell.replace("|", "\\|") for cell in row) for row in (head, ["---"] * len(head), *rows)
    ]
    return "".join(f"| {line} |\n" for line in lines)


def code(value: object) -> str:
    text = str(value)
    return f"`{text}`" if text else ""


def codes(values: Iterable[object]) -> str:
    return ", ".join(code(value) for value in values)


def default_of(field: FieldInfo) -> str:
    """A field's default as one would type it; folders of this machine's user are named instead of spelt."""
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if value in (None, (), [], {}, ""):
        return ""
    if isinstance(value, tuple):
        value = ", ".join(str(item) for item in value)
    return code(str(value).replace(str(platformdirs.user_data_path()), "<user data>"))


def hooks_page(studio: Studio) -> str:
    text = f"# Hooks\n\n{inspect.getdoc(hookspecs)}\n\n"
    text += f"The kernel API is version {'.'.join(map(str, hookspecs.KERNEL_API))}.\n"
    for name in hook_names():
        hook = getattr(hookspecs, name)
        signature = str(inspect.signature(hook)).replace("'", "")
        used_by = [record.name for record in studio.plugins if name in record.hooks] + examples_of(name)
        text += f"\n## {name}\n\n```python\n{name}{signature}\n```\n\n{inspect.getdoc(hook)}\n"
        text += f"\nImplemented by: {', '.join(used_by)}.\n\n{description_table(name)}"
    return text


def examples_of(hook: str) -> list[str]:
    """Links to the examples that implement a hook."""
    defines = re.compile(rf"^@hookimpl\ndef {hook}\(", re.MULTILINE)
    sources = {path for path in ROOT.glob("examples/*/**/*.py") if defines.search(path.read_text("utf-8"))}
    paths = sorted(path.relative_to(ROOT) for path in sources)
    return [f"[{path.parts[1]}](../../{path.as_posix()}) (example)" for path in paths]


def description_table(hook: str) -> str:
    """The fields that describe what a hook registers: the keywords of ``add``."""
    (info,) = get_args(get_type_hints(Registries)[hook.removeprefix("register_")])
    rows = []
    for name, field in info.model_fields.items():
        if name != "name":
            default = "required" if field.is_required() else default_of(field)
            rows.append([code(name), default, field.description or ""])
    return table(["Keyword", "Default", "What it says"], rows)


def settings_page(studio: Studio) -> str:
    text = (
        "# Settings\n\n"
        "A later layer wins: defaults, the settings file, environment variables (`engine.device` is\n"
        "`SFUMATO_ENGINE__DEVICE`, and so on), `--set section.name=value`. `sfumato settings where` tells\n"
        "where each value in force comes from.\n"
    )
    sections: dict[str, list[str]] = {}
    for key in studio.settings.keys():  # noqa: SIM118 (not a mapping)
        sections.setdefault(key.partition(".")[0], []).append(key)
    for section, keys in sections.items():
        rows = []
        for key in keys:
            field = studio.settings.field(key)
            rows.append([code(key), allowed(field), default_of(field), field.description or ""])
        text += f"\n## {section}\n\n" + table(["Key", "Value", "Default", "What it does"], rows)
    return text


def options_table(options: Iterable[Option]) -> str:
    rows = []
    for option in options:
        low, high = option.minimum, option.maximum
        bounds = [f"from {low:g}"] if low is not None else []
        bounds += [f"to {high:g}"] if high is not None else []
        value = codes(option.choices) or " ".join(bounds)
        rows.append([code(option.name), value, code(option.default), option.description])
    return table(["Option", "Value", "Default", "What it does"], rows) if rows else ""


PECULIARITIES = ("needs_unconditional", "interval_noise", "skips_last_level", "own_levels", "one_by_one")
"""Of samplers: told where they hold."""


def sampling_entry(info: SamplerInfo | SchedulerInfo) -> str:
    text = f"\n### {info.label}\n\n{info.summary}\n\n- Name: {code(info.name)}\n"
    if info.aliases:
        text += f"- Also known as: {codes(info.aliases)}\n"
    text += f"- For models that predict: {', '.join(info.predictions)}\n"
    if isinstance(info, SamplerInfo):
        noise = "adds fresh noise" if info.stochastic else "deterministic"
        text += f"- Order {info.order}, model evaluations a step: {info.evaluations_per_step}, {noise}\n"
        if info.preferred_scheduler:
            text += f"- Preferred scheduler: {code(info.preferred_scheduler)}\n"
        told = (name for name in PECULIARITIES if getattr(info, name))
        text += "".join(f"- {SamplerInfo.model_fields[name].description}\n" for name in told)
    options = options_table(info.options)
    return f"{text}\n{options}" if options else text


def samplers_page(studio: Studio) -> str:
    text = (
        "# Samplers and schedulers\n\n"
        "Every spelling below works everywhere, letter case aside, and so do a sampler's and a scheduler's\n"
        "together, as in `DPM++ 2M Karras`. Options are given as\n"
        '`--sampler-option NAME=VALUE`, or `sampler_options={"name": value}` in Python.\n\n## Samplers\n'
    )
    text += "".join(sampling_entry(entry.info) for entry in studio.registries.samplers)
    text += "\n## Schedulers\n"
    return text + "".join(sampling_entry(entry.info) for entry in studio.registries.schedulers)


def field_rows(name: str, field: FieldInfo, shown: dict[type[BaseModel], str]) -> list[list[str]]:
    """A row for a field; one for each of those within, where it holds a schema of its own.

    Args:
        shown: The schemas whose fields were told already, and what of.
    """
    section = section_of(field)
    if section is None:
        return [[code(name), allowed(field), default_of(field), field.description or ""]]
    told, needed = shown.get(section), default_of(field) if field.is_required() else ""
    within = f"those of {told}" if told else "the fields below"
    rows = [[code(name), within if needed else f"{within}, or nothing", needed, field.description or ""]]
    if not told:
        shown[section] = code(name)
        for inner, f in section.model_fields.items():
            rows += field_rows(f"{name}.{inner}", f, shown)
    return rows


def fields_table(schema: type[BaseModel], names: Iterable[str] = ()) -> str:
    """The fields of a schema, or some of them."""
    shown: dict[type[BaseModel], str] = {GenerationRequest: "a request, as above"}
    rows = []
    for name in names or schema.model_fields:
        rows += field_rows(name, schema.model_fields[name], shown)
    return table(["Field", "Value", "Default", "What it does"], rows)


def request_page(studio: Studio) -> str:
    groups: dict[str, list[str]] = {}
    for name, field in GenerationRequest.model_fields.items():
        extra: Any = field.json_schema_extra or {}
        groups.setdefault(str(extra.get("group", "Other")), []).append(name)
    text = (
        "# Request fields\n\n"
        "The fields of a request: keywords of `Studio.generate`, options of `sfumato generate`, and\n"
        "the JSON stored in every picture. A field without a default takes what the model recommends.\n"
    )
    for group, names in groups.items():
        text += f"\n## {group}\n\n" + fields_table(GenerationRequest, names)
    text += "\n## Grids and batches\n\nOf `Studio.grid` and of files for `--from`: `GridRequest`.\n\n"
    text += fields_table(GridRequest)
    text += "\n## Upscaling\n\nOf `Studio.upscale`: `UpscaleRequest`.\n\n" + fields_table(UpscaleRequest)
    text += "\n## What the bundled models recommend\n\n"
    fields = [name for name in RequestDefaults.model_fields if name != "sampler_options"]
    rows = []
    for entry in studio.registries.models:
        if entry.info.defaults:
            rows.append(
                [code(entry.info.name), *(code(getattr(entry.info.defaults, field)) for field in fields)]
            )
    return text + table(["Model", *fields], rows)


def model_options_page(studio: Studio) -> str:
    text = (
        "# Model options\n\n"
        "The knobs of each model family: options of `sfumato generate`, or in Python\n"
        "`model_options={...}` with the names of the fields.\n"
    )
    for entry in studio.registries.model_families:
        text += f"\n## {entry.info.label}\n\n"
        text += f"{entry.info.summary}\n\n" if entry.info.summary else ""
        rows = []
        for name, field in entry.load().options.model_fields.items():
            option = f"--{entry.info.name}-{name}".replace("_", "-")
            rows.append(
                [code(name), code(option), allowed(field), default_of(field), field.description or ""]
            )
        text += table(["Field", "Option", "Value", "Default", "What it does"], rows)
    return text


def parameter_row(parameter: Parameter) -> list[str]:
    shown = codes(parameter.names)
    if parameter.takes_value and not parameter.is_argument:
        shown += f" {parameter.metavar}"
    notes = ["required"] if parameter.required and not parameter.is_argument else []
    notes += ["may be repeated"] if parameter.repeatable else []
    text = parameter.help + (f" ({', '.join(notes)})" if notes else "")
    return [shown, code(parameter.default), text]


def usage(command: Command) -> str:
    words = list(command.path)
    if any(not parameter.is_argument for parameter in command.parameters):
        words.append("[OPTIONS]")
    for parameter in command.parameters:
        if parameter.is_argument:
            name = parameter.names[0] + ("..." if parameter.repeatable else "")
            words.append(name if parameter.required else f"[{name}]")
    if command.commands:
        words.append("COMMAND")
    return " ".join(words)


def command_line_page(studio: Studio) -> str:
    text = (
        "# Command line\n\n"
        "Exit codes: 0 done, 1 failed, 2 bad input, 130 cancelled. Wherever there is `--json`, the output\n"
        "is made for scripts and stays stable.\n"
    )
    for command in command_tree(studio).walk():
        name = " ".join(command.path)
        text += f"\n## {name}\n\n{command.help}\n\n```\n{usage(command)}\n```\n"
        if command.parameters:
            rows = [parameter_row(parameter) for parameter in command.parameters]
            text += "\n" + table(["Argument or option", "Default", "What it does"], rows)
        if command.commands:
            rows = [[code(child.path[-1]), child.help.partition(". ")[0]] for child in command.commands]
            text += "\n" + table(["Command", "What it does"], rows)
    return text


def web_page(studio: Studio) -> str:
    """What clients of the studio find by name, but for what has pages of its own."""
    registries = studio.registries
    text = (
        "# The web interface\n\n"
        "What plugins bring to it: [pages](hooks.md#register_pages), [panels](hooks.md#register_panels) and\n"
        "[routes](hooks.md#register_routes); and the [work](hooks.md#register_tasks) and\n"
        "[questions](hooks.md#register_queries) that clients name.\n\n## Pages\n\n"
    )
    pages = sorted(registries.pages, key=lambda entry: (entry.info.order, entry.info.label))
    rows = [[e.info.label, code(f"/{e.info.name}/"), e.plugin, e.info.summary] for e in pages]
    text += table(["Page", "Address", "Plugin", "What it shows"], rows)
    rows = [[e.info.label, code(e.info.page), e.plugin, e.info.summary] for e in registries.panels]
    text += "\n## Panels\n\n" + (
        table(["Panel", "Page", "Plugin", "What it shows"], rows)
        if rows
        else "None of the bundled plugins brings one; "
        "[sfumato-palette](../../examples/sfumato-palette) is an example.\n"
    )
    rows = [[e.info.label, code(e.info.address or "/"), e.plugin, e.info.summary] for e in registries.routes]
    text += "\n## Routes\n\n" + table(["Routes", "Below", "Plugin", "What they are for"], rows)
    text += "\n## Kinds of work\n\nWhat jobs are made of; those with a request can be queued.\n\n"
    rows = [
        [code(e.info.name), e.plugin, code(e.info.request.rpartition(":")[2]), e.info.lane, e.info.summary]
        for e in registries.tasks
    ]
    text += table(["Kind", "Plugin", "Request", "Lane", "What it does"], rows)
    text += "\n## Queries\n\n`Studio.ask(name, ...)`, and `POST /api/v1/queries/NAME`.\n"
    for entry in sorted(registries.queries, key=lambda entry: entry.info.name):
        text += f"\n### {entry.info.name}\n\n{entry.info.summary} (Plugin {entry.plugin}.)\n\n"
        text += fields_table(load_model(entry.info.request))
    return text


def api_page(studio: Studio) -> str:
    """Every address of the JSON API, from its OpenAPI document."""
    with tempfile.TemporaryDirectory() as folder:
        own = bundled_studio({"general.data_folder": folder, "general.output_folder": folder})
        document = openapi(create_app(own))
        own.database.close()
    text = (
        "# JSON API\n\n"
        "How to use it is told in [The APIs](../guide/api.md). The studio has the same with all schemas at\n"
        "`/api/v1/docs`. Bodies and answers are JSON; fields in **bold** must be given.\n"
    )
    for tag in document["tags"]:
        text += f"\n## {tag['name']}\n"
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    text += endpoint_entry(method.upper(), path, operation, document)
    return text


def endpoint_entry(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    text = f"\n### {operation['summary']}\n\n`{method} {path}`\n"
    if operation.get("description"):
        text += f"\n{' '.join(operation['description'].split())}\n"
    asked = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    if asked:
        names = (f"`{each['name']}`{explained(each)}" for each in asked)
        text += f"\n- In the address: {'; '.join(names)}\n"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        fields = body_fields(content["schema"], document)
        text += ("" if asked else "\n") + f"- Body: {fields or code(media)}\n"
        asked = asked or [content]
    return text


def explained(described: Mapping[str, Any]) -> str:
    """A description as half a sentence, where there is one."""
    found = str(described.get("description") or described.get("schema", {}).get("description") or "")
    return f" ({found.rstrip('.')})" if found else ""


def body_fields(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """The fields of a JSON body in one line; nothing for what is no object."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return ", ".join(
        f"**{code(name)}**" if name in required else code(name) for name in schema.get("properties", {})
    )


PAGES: dict[str, Callable[[Studio], str]] = {
    "api.md": api_page,
    "command-line.md": command_line_page,
    "hooks.md": hooks_page,
    "model-options.md": model_options_page,
    "request.md": request_page,
    "samplers.md": samplers_page,
    "settings.md": settings_page,
    "web.md": web_page,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a page is not current")
    check = parser.parse_args().check

    studio = bundled_studio()
    pages = {REFERENCE / name: MARK + page(studio) for name, page in PAGES.items()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    stale += [path for path in sorted(REFERENCE.glob("*.md")) if path not in pages]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not current. Run: make docs", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        if path in pages:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[path], "utf-8")
        else:
            path.unlink()
        print(f"{'wrote' if path in pages else 'removed'} {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
