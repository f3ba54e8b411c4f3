"""Settings: sections of pydantic models, layered from defaults, a TOML file, environment and command line.

Each later layer wins, and every value knows where it comes from. Plugins offer sections of their own
(`register_settings`), so the whole is known only once plugins are loaded: `Settings.load` reads all layers
and checks the kernel's sections, `Settings.with_sections` adds the rest.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator
from pydantic.fields import FieldInfo

from sfumato import settings_sources as sources
from sfumato.errors import BadInput, PluginError, UnknownName
from sfumato.settings_sources import Given, Provenance
from sfumato.settings_values import Refused, fit
from sfumato.watchdog import in_one_line


class SettingsSectionInfo(BaseModel):
    """A section of settings as registered by a plugin."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()


def _user_data_folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("sfumato", appauthor=False)


def _user_model_folder() -> tuple[Path, ...]:
    return (_user_data_folder() / "models",)


class GeneralSettings(BaseModel):
    """What everyone needs: where models are and where pictures go."""

    model_config = ConfigDict(frozen=True)

    model_folders: tuple[Path, ...] = Field(
        default_factory=_user_model_folder,
        title="Model folders",
        description="Searched in order; each holds checkpoints/, vae/, text_encoders/, tokenizers/ ...",
    )
    output_folder: Path = Field(
        default=Path("outputs"), title="Output folder", description="Where pictures are saved."
    )
    data_folder: Path = Field(
        default_factory=_user_data_folder,
        title="Data folder",
        description="Where the studio keeps its database, uploads, thumbnails and logs.",
    )
    default_model: str | None = Field(
        default=None,
        title="Default model",
        description="Used when a request names none.",
    )

    @field_validator("model_folders", "output_folder", "data_folder")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        """A leading ~ is the user's home, as in a shell."""
        return tuple(path.expanduser() for path in value) if isinstance(value, tuple) else value.expanduser()


class PluginSettings(BaseModel):
    """Which plugins are used."""

    model_config = ConfigDict(frozen=True)

    disabled: tuple[str, ...] = Field(
        default=(), title="Disabled plugins", description="Names of installed plugins that are not loaded."
    )
    patience: float = Field(
        default=30.0,  # a disk that is cold may take 20 s for torch alone, which a plugin may import
        ge=0,
        le=3600,
        title="Patience",
        description="Seconds that a plugin's import, each of its hooks and each of its checks may take; "
        "a plugin that takes longer is quarantined. 0 waits for ever and watches nothing, for debugging.",
    )


class JobSettings(BaseModel):
    """How durable work is kept and done."""

    model_config = ConfigDict(frozen=True)

    database: str = Field(
        default="",
        title="Database",
        description="An SQLAlchemy URL, such as postgresql+psycopg://user@host/sfumato; by default a SQLite "
        "file in the data folder.",
        json_schema_extra={"secret": True},  # it may hold a password
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        title="Attempts",
        description="How often a job that a crash cut short is begun before it is given up.",
    )
    keep_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        title="Keep days",
        description="Days that jobs which are over are listed, with their events; 0 keeps them for ever. "
        "Pictures stay.",
    )
    hang_seconds: float = Field(
        default=600.0,
        ge=0,
        le=86400,
        title="Hang seconds",
        description="A worker process that gives no sign of life for so long is ended; 0 never ends it.",
    )
    cancel_seconds: float = Field(
        default=30.0,
        ge=0,
        le=86400,
        title="Cancel seconds",
        description="Work that goes on for so long after it was cancelled is ended with its process; 0 waits "
        "for ever.",
    )


KERNEL_SECTIONS: Mapping[str, type[BaseModel]] = types.MappingProxyType(
    {"general": GeneralSettings, "plugins": PluginSettings, "jobs": JobSettings}
)


class Settings:
    """All settings in force; read-only once loaded. ``settings.general.output_folder`` reads a value.

    Values are checked when their section is known. In the strict mode a bad one raises `BadInput`; in the
    lenient mode, meant for commands that show and mend settings, it goes to `problems` and the next lower
    layer holds.

    Args:
        file: The TOML file, which may not exist yet.
        environ: Environment variables.
        overrides: Values of the command line by key.
        sections: The model of each known section.
        lenient: Collect problems instead of raising.
    """

    def __init__(
        self,
        file: Path,
        environ: Mapping[str, str],
        overrides: Mapping[str, str],
        sections: Mapping[str, type[BaseModel]],
        *,
        lenient: bool = False,
    ) -> None:
        self.file = file
        self.problems: tuple[BadInput, ...] = ()
        self._environ = dict(environ)
        self._overrides = dict(overrides)
        self._models = dict(sections)
        self._lenient = lenient
        self._layers = self._read_layers()
        self._origins: dict[str, Provenance] = {}
        self._sections = {name: self._build(name) for name in self._models}

    @classmethod
    def load(
        cls,
        *,
        file: Path | None = None,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, str] | None = None,
        lenient: bool = False,
    ) -> Settings:
        """Read all layers and check the kernel's own sections.

        Raises:
            BadInput: the file is not TOML, or a value of the kernel's sections is wrong (unless `lenient`).
        """
        environ = os.environ if environ is None else environ
        return cls(
            sources.settings_file(file, environ), environ, overrides or {}, KERNEL_SECTIONS, lenient=lenient
        )

    @classmethod
    def from_given(cls, given: Mapping[str, Any]) -> Settings:
        """The settings of another process, from its `as_given`."""
        file, environ, overrides = Path(given["file"]), given["environ"], given["overrides"]
        return cls.load(file=file, environ=environ, overrides=overrides, lenient=given["lenient"])

    def as_given(self) -> dict[str, Any]:
        """What these settings are read from, in JSON: for a process that is to have the same ones."""
        return {
            "file": str(self.file.absolute()),
            "environ": {
                name: text for name, text in self._environ.items() if name.startswith(sources.PREFIX)
            },
            "overrides": self._overrides,
            "lenient": self._lenient,
        }

    def with_sections(self, sections: Mapping[str, type[BaseModel]]) -> Settings:
        """These settings with the sections of plugins added, read and checked.

        Sections in the file or environment that nobody offers are left alone (their plugin may be disabled).

        Raises:
            BadInput: a value is wrong, or the command line names an unknown section (unless lenient).
        """
        whole = Settings(
            self.file, self._environ, self._overrides, {**self._models, **sections}, lenient=self._lenient
        )
        for key in self._overrides:
            if key.partition(".")[0] not in whole._models:
                whole._note(whole._unknown(key))
        return whole

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._sections:
            raise AttributeError(f"There is no settings section '{name}'.")
        return self._sections[name]

    def keys(self) -> Iterator[str]:
        """Every known key, ``section.field``, by section."""
        for section, model in self._models.items():
            yield from (f"{section}.{name}" for name in model.model_fields)

    def get(self, key: str) -> Any:
        """The value in force. Raises `UnknownName` offering the nearest keys."""
        section, name, _ = self._split(key)
        return getattr(self._sections[section], name)

    def where(self, key: str) -> Provenance:
        """Where the value in force comes from. Raises `UnknownName` offering the nearest keys."""
        section, name, _ = self._split(key)
        return self._origins.get(f"{section}.{name}", Provenance("default"))

    def field(self, key: str) -> FieldInfo:
        """The field's title, description, type and bounds."""
        return self._split(key)[2]

    def unused_keys(self) -> dict[str, Provenance]:
        """Keys given somewhere in sections that no loaded plugin offers."""
        return {
            key: given.provenance
            for layer in self._layers
            for key, given in layer.items()
            if key.partition(".")[0] not in self._models
        }

    def in_file(self, key: str) -> Any:
        """The value as the file alone gives it, or the default: what a change of the file starts from."""
        section, name, _ = self._split(key)
        fitted = fit(self._models[section], self._given(section, self._layers[0]))
        for refused in fitted.refused:
            if refused.name == name:
                raise self._wrong(section, refused)
        return getattr(fitted.section, name)

    def write(self, key: str, text: str) -> Settings:
        """Check `text` as the value of `key`, then store it in the file; comments there are kept.

        Returns:
            The settings read again; an environment variable or option may still hide the new value.

        Raises:
            BadInput: no such key, or the text is not a value for it beside the others in the file.
            SfumatoError: the file cannot be written.
        """
        section, name, _ = self._split(key)
        new = Given(text, Provenance("command line", key))
        fitted = fit(self._models[section], [*self._given(section, self._layers[0]), (name, new)])
        for refused in fitted.refused:
            if refused.given is new:
                raise self._wrong(section, refused)
        value = fitted.section.model_dump(mode="json", include={name}, warnings=False)[name]
        sources.store(self.file, section, name, "none" if value is None else value)
        return self.read_again()

    def unset(self, key: str) -> Settings:
        """Take a key out of the file, known or not, so that its default holds again.

        Raises:
            UnknownName: the file does not have it.
            SfumatoError: the file cannot be written.
        """
        spellings = (key, key.strip().lower())  # as the file spells it, or as everywhere else
        if not any(sources.remove(self.file, spelling) for spelling in spellings):
            raise UnknownName("setting in the file", key, sources.from_file(self.file))
        return self.read_again()

    def read_again(self) -> Settings:
        """The settings as file and variables give them now; what is wrong is told in `problems`."""
        return Settings(self.file, self._environ, self._overrides, self._models, lenient=True)

    def _read_layers(self) -> tuple[dict[str, Given], ...]:
        """File, environment, command line: the later ones win."""
        try:
            from_file = sources.from_file(self.file)
        except BadInput as problem:
            self._note(problem)
            from_file = {}
        return from_file, sources.from_environment(self._environ), sources.from_command_line(self._overrides)

    def _note(self, problem: BadInput) -> None:
        if not self._lenient:
            raise problem
        self.problems += (problem,)

    def _build(self, section: str) -> BaseModel:
        """One section from all layers; in the lenient mode a bad value gives way to the layer below."""
        for layer in self._layers:
            self._note_strays(section, layer)
        fitted = fit(
            self._models[section], [item for layer in self._layers for item in self._given(section, layer)]
        )
        for refused in fitted.refused:
            self._note(self._wrong(section, refused))
        self._origins.update({f"{section}.{name}": given.provenance for name, given in fitted.used.items()})
        return fitted.section

    def _given(self, section: str, layer: Mapping[str, Given]) -> list[tuple[str, Given]]:
        """What a layer gives for the fields of a section."""
        return [
            (name, layer[key])
            for name in self._models[section].model_fields
            if (key := f"{section}.{name}") in layer
        ]

    def _note_strays(self, section: str, layer: Mapping[str, Given]) -> None:
        """Tell of what a layer gives under a section's name that is no field of it."""
        if section in layer:
            self._note(_not_a_table(section, layer[section]))
        for key, given in layer.items():
            owner, dot, name = key.partition(".")
            if owner == section and dot and name not in self._models[section].model_fields:
                self._note(self._unknown(key, given.provenance))

    def _wrong(self, section: str, refused: Refused) -> BadInput:
        return BadInput(
            f"Setting {section}.{refused.name} cannot be '{refused.given.value}'.",
            why=f"It comes from: {refused.given.provenance}. {refused.reason}.",
            hint=f"Allowed: {allowed(self._models[section].model_fields[refused.name])}.",
        )

    def _split(self, key: str) -> tuple[str, str, FieldInfo]:
        section, _, name = key.strip().lower().partition(".")
        model = self._models.get(section)
        if model is None or name not in model.model_fields:
            raise self._unknown(key)
        return section, name, model.model_fields[name]

    def _unknown(self, key: str, provenance: Provenance | None = None) -> UnknownName:
        hint = "'sfumato settings' lists them all."
        if key.partition(".")[0].strip().lower() not in self._models:
            hint += (
                " A plugin that is not installed, switched off or broken may have it: see 'sfumato plugins'."
            )
        if provenance is not None and provenance.source != "command line":
            hint = f"It is given by {provenance}. {hint}"
        return UnknownName("setting", key, self.keys(), hint=hint)


def check_section(name: str, model: Any) -> None:
    """Whether a plugin may add such a section.

    Raises:
        PluginError: `model` is no pydantic model that builds from its defaults, or the name is taken by the
        kernel.
    """
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginError(
            f"The settings section '{name}' is no pydantic model.", why=f"Its target is {model!r:.80}."
        )
    if name in KERNEL_SECTIONS or name in ("file", "problems") or hasattr(Settings, name):
        raise PluginError(
            f"A settings section cannot be named '{name}'.",
            why="The kernel uses that name.",
            hint="Name it after the plugin.",
        )
    try:
        model()
    except Exception as error:
        raise PluginError(
            f"The settings section '{name}' cannot be built from its defaults.",
            why=f"{in_one_line(error)}.",
            hint="Every field needs a default, and the defaults must fit together.",
        ) from error


def allowed(field: FieldInfo) -> str:
    """What a field takes, in words: "integer, from 1 to 8", "'auto' or 'cpu'"."""
    annotation: Any = field.rebuild_annotation()
    try:
        schema = TypeAdapter(annotation).json_schema()
    except Exception:  # a type without a JSON form (a plugin's own class): its name must do
        return str(getattr(field.annotation, "__name__", field.annotation))
    return _words(schema, schema.get("$defs", {}))


def as_text(value: Any) -> str:
    """A value as it is written in options and environment variables."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple, set, frozenset)) else str(value)


def _words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _words(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return " or ".join(_words(option, definitions) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(repr(choice) for choice in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", "text"))
    if kind == "array":
        inner = _words(schema.get("items", {}), definitions)
        return f"a list of {inner}, separated by commas"
    plain = {"string": "text", "boolean": "true or false", "null": "none"}.get(kind, kind)
    plain = "path" if schema.get("format") == "path" else plain
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    bounds = [f"from {low}"] if low is not None else []
    bounds += [f"to {high}"] if high is not None else []
    return ", ".join([plain, " ".join(bounds)] if bounds else [plain])


def _not_a_table(section: str, given: Given) -> BadInput:
    return BadInput(
        f"'{section}' is a section of settings, not a value.",
        why=f"It comes from: {given.provenance}.",
        hint=f"Write [{section}] on a line and its settings below.",
    )
