"""/choices and the lists behind them: samplers, schedulers, models, upscalers, styles ..."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sfumato.errors import SfumatoError, UnknownName
from sfumato.registry import Registry
from sfumato.request import GenerationRequest
from sfumato.sampling import SamplerInfo, SchedulerInfo
from sfumato.stages import StageInfo
from sfumato.studio import Studio
from sfumato.upscaling import FaceRestorerInfo, all_upscalers
from sfumato_ui_web.api.cursors import listing
from sfumato_ui_web.api.endpoints import Answer, Message, endpoint
from sfumato_ui_web.api.model_list import ModelList

TAGS = ("Choices",)


class Choice(Answer):
    """One of the values that a field takes."""

    value: str
    label: str
    hint: str = ""


class ChoiceList(Answer):
    """All that were found."""

    items: tuple[Choice, ...]
    next: None = None


class ChoiceQuery(Message):
    """Which choices."""

    q: str = Field(default="", max_length=200, description="A part of the value or label.")
    model: str = Field(default="", max_length=4096, description="For this model, where that matters.")
    limit: int = Field(default=1000, ge=1, le=10_000, description="No more than so many.")


class SamplerList(Answer):
    """The samplers, as `sfumato samplers` lists them."""

    items: tuple[SamplerInfo, ...]
    next: None = None


class SchedulerList(Answer):
    """The schedulers."""

    items: tuple[SchedulerInfo, ...]
    next: None = None


class StageList(Answer):
    """The stages that requests can name."""

    items: tuple[StageInfo, ...]
    next: None = None


class FaceRestorerList(Answer):
    """The face restorers."""

    items: tuple[FaceRestorerInfo, ...]
    next: None = None


class UpscalerAnswer(Answer):
    """An upscaler, or a file that one reads."""

    name: str = Field(description="What requests call it.")
    label: str
    works_on: str = Field(description="'pixels' or 'latents'.")
    summary: str = ""


class UpscalerList(Answer):
    """The upscalers."""

    items: tuple[UpscalerAnswer, ...]
    next: None = None


class AdapterAnswer(Answer):
    """A LoRA or learned word."""

    model_config = ConfigDict(extra="allow")

    name: str
    kind: str


class AdapterAnswers(Answer):
    """The LoRAs and learned words."""

    items: tuple[AdapterAnswer, ...]
    next: None = None


class Choices:
    """What fields of requests can be."""

    def __init__(self, studio: Studio, models: ModelList) -> None:
        self._studio = studio
        self._models = models

    @endpoint("GET", "/samplers", answer=SamplerList, summary="Samplers", tags=TAGS)
    def samplers(self) -> dict[str, Any]:
        return _infos(self._studio.registries.samplers)

    @endpoint("GET", "/schedulers", answer=SchedulerList, summary="Schedulers", tags=TAGS)
    def schedulers(self) -> dict[str, Any]:
        return _infos(self._studio.registries.schedulers)

    @endpoint("GET", "/stages", answer=StageList, summary="Stages", tags=TAGS)
    def stages(self) -> dict[str, Any]:
        return _infos(self._studio.registries.stages)

    @endpoint("GET", "/face-restorers", answer=FaceRestorerList, summary="Face restorers", tags=TAGS)
    def face_restorers(self) -> dict[str, Any]:
        return _infos(self._studio.registries.face_restorers)

    @endpoint("GET", "/upscalers", answer=UpscalerList, summary="Upscalers", tags=TAGS)
    def upscalers(self) -> dict[str, Any]:
        """Those of plugins, then one for each file in the model folders."""
        return listing(
            [
                {
                    "name": one.name,
                    "label": one.label,
                    "works_on": one.entry.info.works_on,
                    "summary": one.entry.info.summary,
                }
                for one in all_upscalers(self._studio.registries, self._studio.library)
            ]
        )

    @endpoint(
        "GET",
        "/adapters",
        answer=AdapterAnswers,
        query=ChoiceQuery,
        summary="LoRAs and learned words",
        tags=TAGS,
    )
    def adapters(self, query: ChoiceQuery) -> dict[str, Any]:
        """All of them; with a model each tells whether it fits."""
        found = [item for item in self._adapters("", query.model) if query.q.lower() in item["name"].lower()]
        return listing(
            [
                {key: value for key, value in item.items() if key not in ("path", "preview")}
                for item in found[: query.limit]
            ]
        )

    @endpoint(
        "GET",
        "/choices/<source>",
        query=ChoiceQuery,
        answer=ChoiceList,
        summary="What a field can be",
        tags=TAGS,
    )
    def choices(self, source: str, query: ChoiceQuery) -> dict[str, Any]:
        """By what the field's schema has as `choices`: samplers, models, styles, loras ..."""
        sources = self._sources(query.model)
        found: Iterable[Choice]
        if source in sources:
            found = sources[source]()
        else:
            registry = getattr(self._studio.registries, source, None)
            if not isinstance(registry, Registry):
                raise UnknownName("source of choices", source, sources)
            found = _registered(registry)
        wanted = query.q.lower()
        return listing(
            [
                choice.model_dump()
                for choice in found
                if wanted in choice.value.lower() or wanted in choice.label.lower()
            ][: query.limit]
        )

    def _sources(self, model: str) -> Mapping[str, Callable[[], Iterable[Choice]]]:
        return {
            "models": self._model_choices,
            "upscalers": self._upscaler_choices,
            "loras": partial(self._adapter_choices, "lora", model),
            "embeddings": partial(self._adapter_choices, "embedding", model),
            "styles": self._style_choices,
            "vae": partial(self._file_choices, "vae"),
            "parts": partial(self._file_choices, "vae", "text_encoders", "diffusion_models"),
            "backends": lambda: [Choice(value="local", label="local")],
            "request_fields": lambda: _field_choices(GenerationRequest),
            "sampler_options": partial(self._options, "samplers", "schedulers"),
            "model_options": partial(self._model_options, model),
        }

    def _model_choices(self) -> Iterator[Choice]:
        for model in self._models.models():
            yield Choice(value=model.name, label=model.label or model.name, hint=model.family)

    def _upscaler_choices(self) -> Iterator[Choice]:
        for one in all_upscalers(self._studio.registries, self._studio.library):
            yield Choice(value=one.name, label=one.label, hint=one.entry.info.works_on)

    def _adapter_choices(self, kind: str, model: str) -> Iterator[Choice]:
        for item in self._adapters(kind, model):
            yield Choice(
                value=item["name"], label=item["alias"] or item["name"], hint=item["warning"] or item["label"]
            )

    def _adapters(self, kind: str, model: str) -> list[dict[str, Any]]:
        if "adapters" not in self._studio.registries.queries:
            return []
        answer = self._studio.ask("adapters", kind=kind, model=model or None)
        found: list[dict[str, Any]] = answer.model_dump(mode="json")["items"]
        return found

    def _style_choices(self) -> Iterator[Choice]:
        if "styles" in self._studio.registries.queries:
            for style in self._studio.ask("styles").model_dump()["items"]:
                hint = style["description"] or style["prompt"]
                yield Choice(value=style["name"], label=style["name"], hint=hint)

    def _file_choices(self, *folders: str) -> Iterator[Choice]:
        for folder in folders:
            for path in self._studio.library.files(folder):
                yield Choice(value=path.stem, label=path.stem, hint=folder)

    def _options(self, *registries: str) -> Iterator[Choice]:
        options = {
            option.name: option.description
            for name in registries
            for entry in getattr(self._studio.registries, name)
            for option in entry.info.options
        }
        for name, description in sorted(options.items()):
            yield Choice(value=name, label=name, hint=description)

    def _model_options(self, model: str) -> Iterator[Choice]:
        """Knobs of the model's family, or of all."""
        try:
            family = self._studio.library.find(model).family if model else ""
        except SfumatoError:
            family = ""
        for entry in self._studio.registries.model_families:
            if family in ("", entry.info.name):
                for name, field in entry.load().options.model_fields.items():
                    yield Choice(value=name, label=field.title or name, hint=field.description or "")


def _infos(registry: Registry[Any]) -> dict[str, Any]:
    return listing([entry.info.model_dump(mode="json") for entry in registry])


def _registered(registry: Registry[Any]) -> Iterator[Choice]:
    for entry in registry:
        info = entry.info
        yield Choice(
            value=info.name, label=getattr(info, "label", info.name), hint=getattr(info, "summary", "")
        )


def _field_choices(schema: type[BaseModel], before: str = "") -> Iterator[Choice]:
    for name, field in schema.model_fields.items():
        sections = [
            kind
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if _is_section(kind)
        ]
        if sections:
            yield from _field_choices(sections[0], f"{before}{name}.")
        else:
            yield Choice(value=before + name, label=field.title or name, hint=field.description or "")


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
