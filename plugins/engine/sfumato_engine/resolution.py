"""A request made definite: open fields filled, names turned into registry entries, options checked.

No tensor library is imported here, so that a misspelt name is answered at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from sfumato.errors import BadInput, SfumatoError, UnknownName
from sfumato.models import ModelFamily, ModelInfo
from sfumato.registries import Registries
from sfumato.registry import Entry, Registry
from sfumato.request import RANDOM_SEED, SEED_LIMIT, GenerationRequest, HiresPass
from sfumato.sampler_names import resolve_sampler
from sfumato.sampling import Option, SamplerInfo, SchedulerInfo
from sfumato.tasks import TaskContext
from sfumato_engine.noise.seeds import picture_seed, picture_variation_seed
from sfumato_engine.passes import Denoising, hires_request, refiner_request
from sfumato_engine.saving import saving_settings
from sfumato_engine.stages import NamedStage
from sfumato_engine.start.picture_size import size_to_draw
from sfumato_pictures.styles import with_styles


@dataclass(frozen=True)
class ResolvedRequest:
    """Everything a request means, decided.

    Attributes:
        request: With every field filled and names in their permanent form; of the options only those that
            the request changes, so that another sampler or model can be put into it. Styles are in its
            prompts.
        asked: The request as it came.
        info: The model.
        family: The model's family.
        sampler: Registry entry of the sampler.
        scheduler: Registry entry of the scheduler.
        sampler_options: Complete and checked; likewise the next two.
        stages: Those that the request names, in name order.
        denoising: How much of its picture this pass changes; None for one that starts from noise.
        hires: The pass after this one.
        refiner: The same pass by the model that takes over in its course.
    """

    request: GenerationRequest
    asked: GenerationRequest
    info: ModelInfo
    family: ModelFamily
    sampler: Entry[SamplerInfo]
    scheduler: Entry[SchedulerInfo]
    sampler_options: dict[str, Any]
    scheduler_options: dict[str, Any]
    model_options: dict[str, Any]
    stages: tuple[NamedStage, ...] = ()
    denoising: Denoising | None = None
    hires: ResolvedRequest | None = None
    refiner: ResolvedRequest | None = None

    @property
    def passes(self) -> tuple[ResolvedRequest, ...]:
        """This one, its refiner, and those after it."""
        further = tuple(one for later in (self.refiner, self.hires) if later for one in later.passes)
        return (self, *further)

    @property
    def is_hires(self) -> bool:
        """Whether it goes on with the picture of a pass before it."""
        return self.denoising is not None and self.request.img2img is None

    @property
    def steps(self) -> int:
        return cast("int", self.request.steps)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return cast("int", self.request.width), cast("int", self.request.height)

    @property
    def cfg_scale(self) -> float:
        return cast("float", self.request.cfg_scale)

    @property
    def clip_skip(self) -> int:
        return cast("int", self.request.clip_skip)

    def seed(self, index: int) -> int:
        """The seed of picture number `index` of the request, from 0."""
        return picture_seed(self.request.seed, index, self.request.variation_strength)

    def variation_seed(self, index: int) -> int:
        """The variation seed of picture number `index` of the request, from 0."""
        return picture_variation_seed(self.request.variation_seed, index)


def resolve(request: GenerationRequest, context: TaskContext) -> ResolvedRequest:
    """Decide everything that a request leaves open, pass by pass.

    Raises:
        UnknownName: no such model, sampler, scheduler, stage or option; the nearest names are offered.
        BadInput: a value out of range, a sampler that is not right for the model, or passes that do not go
            together.
    """
    asked, request = request, with_styles(request, saving_settings(context))
    start = request.img2img
    request = with_size_of_picture(with_absolute_paths(request))
    first = replace(_resolve_pass(request, context), asked=asked)
    if start is not None:
        first = replace(first, denoising=Denoising(start.denoising_strength, start.all_steps))
    if request.hires is None:
        return _with_refiner(first, context)
    if request.inpaint or request.outpaint:
        raise BadInput(
            "Hires fix does not go together with inpainting or outpainting.",
            why="The mask says what may change in the first pass, and the second one would change all.",
            hint="Leave it out, and give the finished picture to img2img at a larger size.",
        )
    return _with_hires(first, request.hires, context)


def _with_hires(first: ResolvedRequest, hires: HiresPass, context: TaskContext) -> ResolvedRequest:
    """With the hires pass after it, by the names that find its parts again."""
    other = context.library.find(hires.model) if hires.model else None
    request = hires_request(first.request, hires, first.info, other)
    second = _resolve_pass(_fitting_sampler_options(request, context), context)
    second = replace(second, denoising=Denoising(hires.denoising_strength, all_steps=True))
    second = _with_refiner(second, context)
    names = {
        "model": second.request.model if hires.model else None,
        "sampler": second.sampler.info.name if hires.sampler else None,
        "scheduler": second.scheduler.info.name if hires.scheduler else None,
    }
    definite = {"hires": hires.model_copy(update=names), "refiner": second.request.refiner}
    return replace(first, request=first.request.model_copy(update=definite), hires=second)


def _with_refiner(before: ResolvedRequest, context: TaskContext) -> ResolvedRequest:
    refiner = before.request.refiner
    if refiner is None:
        return before
    other = context.library.find(refiner.model)
    resolved = _resolve_pass(refiner_request(before.request, other), context)
    definite = refiner.model_copy(update={"model": resolved.request.model})
    return replace(before, request=before.request.model_copy(update={"refiner": definite}), refiner=resolved)


def _fitting_sampler_options(request: GenerationRequest, context: TaskContext) -> GenerationRequest:
    """Without the options that another sampler or scheduler, put in by a pass, does not have."""
    method = _method(request, context.library.find(request.model), context.registries)
    known = {option.name for entry in method for option in entry.info.options}
    options = {name: value for name, value in request.sampler_options.items() if name in known}
    return request.model_copy(update={"sampler_options": options})


def with_absolute_paths(request: GenerationRequest) -> GenerationRequest:
    """Pictures and masks by paths that hold wherever the program is started next."""
    update: dict[str, Any] = {"regions": tuple(path.absolute() for path in request.regions)}
    if request.img2img:
        image = request.img2img.image.absolute()
        update["img2img"] = request.img2img.model_copy(update={"image": image})
    if request.inpaint:
        update["inpaint"] = request.inpaint.model_copy(update={"mask": request.inpaint.mask.absolute()})
    return request.model_copy(update=update)


def with_size_of_picture(request: GenerationRequest) -> GenerationRequest:
    """A picture that is made from another one has its size, as far as the request leaves it open."""
    only_masked = request.inpaint is not None and request.inpaint.area == "only_masked"
    if request.img2img is None or only_masked or (request.width and request.height):
        return request
    width, height = size_to_draw(request.img2img, request.outpaint)
    return request.model_copy(update={"width": request.width or width, "height": request.height or height})


def _resolve_pass(request: GenerationRequest, context: TaskContext) -> ResolvedRequest:
    registries = context.registries
    info = context.library.find(request.model)
    family: ModelFamily = registries.model_families.get(info.family).load()()
    filled = request.filled_from(info.defaults)
    sampler, scheduler = _method(request, info, registries)
    _check_predictions(sampler, info, registries.samplers)
    _check_predictions(scheduler, info, registries.schedulers)
    _check_option_names(filled.sampler_options, sampler.info, scheduler.info)
    options = {**info.defaults.sampler_options, **filled.sampler_options}
    sampler_options = checked_options(sampler.info.options, options)
    scheduler_options = checked_options(scheduler.info.options, options)
    model_options = family_options(family.options, {**info.options, **filled.model_options})
    stages = _stages(filled, registries)
    definite = {
        **_drawn_seeds(filled),
        "model": _model_name(request, info, context),
        "sampler": sampler.info.name,
        "scheduler": scheduler.info.name,
        "sampler_options": {
            **_changed(
                scheduler_options, checked_options(scheduler.info.options, info.defaults.sampler_options)
            ),
            **_changed(sampler_options, checked_options(sampler.info.options, info.defaults.sampler_options)),
        },
        "model_options": _changed(model_options, family_options(family.options, info.options)),
        "stages": {
            stage.entry.info.name: changed_options(stage.entry.info.options, stage.options)
            for stage in stages
        },
    }
    return ResolvedRequest(
        asked=request,
        request=filled.model_copy(update=definite),
        info=info,
        family=family,
        sampler=sampler,
        scheduler=scheduler,
        sampler_options=sampler_options,
        scheduler_options=scheduler_options,
        model_options=model_options,
        stages=stages,
    )


def _drawn_seeds(request: GenerationRequest) -> dict[str, int]:
    """Seeds that are left open, and used, drawn by chance."""
    used = ["seed", "variation_seed"] if request.variation_strength else ["seed"]
    open_seeds = [name for name in used if getattr(request, name) == RANDOM_SEED]
    return {name: secrets.randbelow(SEED_LIMIT) for name in open_seeds}


def _model_name(request: GenerationRequest, info: ModelInfo, context: TaskContext) -> str:
    """What finds the model again: a registered one's own name, what was asked for, a name or a path."""
    registered = context.registries.models
    if info.name in registered and Path(registered.get(info.name).target) == info.path:
        return info.name
    if request.model:
        return request.model
    try:
        found = context.library.find(info.name).path
    except SfumatoError:
        found = None
    return info.name if found == info.path else str(info.path.absolute())


def _method(
    request: GenerationRequest, info: ModelInfo, registries: Registries
) -> tuple[Entry[SamplerInfo], Entry[SchedulerInfo]]:
    """Sampler and scheduler: those asked for, by one name or two.

    A scheduler left open is the one that a sampler picked by the user prefers, else the model's. Flow models
    keep their own: it carries the time shift for the picture's size, which others would lose.
    """
    asked = request.sampler or info.defaults.sampler
    sampler, scheduler = resolve_sampler(registries.samplers, registries.schedulers, asked, request.scheduler)
    if scheduler is None:
        preferred = sampler.info.preferred_scheduler
        takes_preferred = request.sampler and preferred in registries.schedulers and info.prediction != "flow"
        scheduler = registries.schedulers.get(preferred if takes_preferred else info.defaults.scheduler)
    return sampler, scheduler


def _stages(request: GenerationRequest, registries: Registries) -> tuple[NamedStage, ...]:
    """Raises `UnknownName` for a stage or an option that there is not, `BadInput` for a wrong value."""
    stages = {}
    for name, given in request.stages.items():
        entry = registries.stages.get(name)
        known = [option.name for option in entry.info.options]
        for option in given:
            if option not in known:
                raise UnknownName(f"option of the stage '{entry.info.label}'", option, known)
        stages[entry.info.name] = NamedStage(entry, checked_options(entry.info.options, given))
    return tuple(stages[name] for name in sorted(stages))


def _check_predictions(entry: Entry[Any], info: ModelInfo, registry: Registry[Any]) -> None:
    if info.prediction in entry.info.predictions:
        return
    fitting = [other.info.name for other in registry if info.prediction in other.info.predictions]
    raise BadInput(
        f"The {registry.kind} '{entry.info.label}' is not right for '{info.name}'.",
        why=f"The model predicts '{info.prediction}'; the {registry.kind} is made for "
        f"{', '.join(entry.info.predictions)}.",
        hint=f"Choose one of: {', '.join(fitting)}.",
    )


def _check_option_names(values: Mapping[str, Any], sampler: SamplerInfo, scheduler: SchedulerInfo) -> None:
    known = [option.name for option in (*sampler.options, *scheduler.options)]
    for name in values:
        if name not in known:
            whose = f"They belong to the sampler '{sampler.label}' and the scheduler '{scheduler.label}'."
            raise UnknownName("sampler option", name, known, hint=whose)


def checked_options(options: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Every option's value: the given one, converted to the option's type and checked, or the default.

    Raises:
        BadInput: a value of the wrong type, out of bounds, or not among the choices.
    """
    return {option.name: _checked(option, values.get(option.name, option.default)) for option in options}


def changed_options(options: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from the options' defaults."""
    return _changed(values, {option.name: option.default for option in options})


def _changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != defaults[name]}


def _checked(option: Option, value: Any) -> float | int | bool | str:
    kind = type(option.default)
    try:
        converted = _flag(value) if kind is bool else kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"The option '{option.name}' needs a {kind.__name__}, not '{value}'.") from error
    if option.choices and converted not in option.choices:
        raise UnknownName(f"{option.name} choice", str(converted), option.choices)
    low = option.minimum if option.minimum is not None else float("-inf")
    high = option.maximum if option.maximum is not None else float("inf")
    if isinstance(converted, (int, float)) and not low <= converted <= high:
        raise BadInput(f"The option '{option.name}' is {converted}.", why=f"It goes from {low} to {high}.")
    return converted


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    spelling = str(value).strip().lower()
    if spelling not in ("true", "false", "1", "0"):
        raise ValueError(value)
    return spelling in ("true", "1")


def family_options(schema: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """A family's options, checked and complete.

    Raises:
        UnknownName: the family has no such option.
        BadInput: a value it cannot have.
    """
    for name in values:
        if name not in schema.model_fields:
            raise UnknownName("model option", name, schema.model_fields)
    try:
        return schema.model_validate(values).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"The model option '{name}' cannot be '{first['input']}'.", why=f"{first['msg']}."
        ) from error
