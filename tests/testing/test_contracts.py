"""The contracts catch what they are for: each of these broken things fails the test that it should."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from sfumato.errors import BadInput, CheckpointError
from sfumato.events import StepCompleted
from sfumato.models import CheckpointHeader, LatentFormat, LayerTarget, ModelInfo, PromptText, TensorInfo
from sfumato.noise_schedule import NoiseSchedule
from sfumato.pages import PageInfo
from sfumato.registry import Entry
from sfumato.sampling import Option, SamplerInfo, SchedulerInfo
from sfumato.settings import Settings
from sfumato.stages import StageInfo
from sfumato.studio import Studio
from sfumato.tasks import TaskContext
from sfumato.testing import (
    FaceRestorerContract,
    ModelFamilyContract,
    PageContract,
    PluginContract,
    SamplerContract,
    SchedulerContract,
    StageContract,
    TrainerContract,
    UpscalerContract,
    WeightFormatContract,
)
from sfumato.testing.analytic import noise_schedules
from sfumato.testing.entries import Installation
from sfumato.testing.families import library_of
from sfumato.testing.stages import SEEDS
from sfumato.training import TrainerInfo, TrainingResult
from sfumato.upscaling import FaceRestorerInfo, UpscaleContext, UpscalerInfo


def fails(check: Callable[..., Any], *arguments: Any) -> bool:
    try:
        check(*arguments)
    except (AssertionError, pytest.fail.Exception):
        return True
    return False


# Samplers: Euler's method with one fault each


def euler(step: Callable[..., Any], *, tell: bool = True) -> Callable[..., Any]:
    def sample(denoise, x, sigmas, context):
        for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
            denoised = denoise(x, sigma)
            if tell:
                context.on_step(i, x, denoised)
            x = step(x, denoised, sigma, sigma_next, context)
        return x

    return sample


def right(x, denoised, sigma, sigma_next, context):
    return torch.lerp(denoised, x, sigma_next / sigma)


def deaf(denoise, x, sigmas, context):
    def quiet(index, x, denoised):
        try:
            context.on_step(index, x, denoised)
        except Exception:
            return

    return euler(right)(denoise, x, sigmas, type(context)(context.convention, context.noise, {}, quiet))


def wasteful(denoise, x, sigmas, context):
    return euler(right)(lambda x, sigma: (denoise(x, sigma), denoise(x, sigma))[0], x, sigmas, context)


def noisy(strength: float) -> Callable[..., Any]:
    def step(x, denoised, sigma, sigma_next, context):
        return denoised + strength * sigma_next * context.noise(sigma, sigma_next)

    return euler(step)


def late(denoise, x, sigmas, context):
    """Tells of its steps when all work is done."""
    seen = []
    found = euler(right)(
        denoise, x, sigmas, type(context)(context.convention, context.noise, {}, lambda *s: seen.append(s))
    )
    for step in seen:
        context.on_step(*step)
    return found


def swapped(denoise, x, sigmas, context):
    """Tells of the estimate in the place of the latents."""

    def on_step(index, x, denoised):
        context.on_step(index, denoised, x)

    return euler(right)(denoise, x, sigmas, type(context)(context.convention, context.noise, {}, on_step))


def looks_at_level_0(denoise, x, sigmas, context):
    found = euler(right)(denoise, x, sigmas, context)
    return denoise(found, 0.0)


def uses_up_the_levels(denoise, x, sigmas, context):
    found = euler(right)(denoise, x, list(sigmas), context)
    sigmas.clear()
    return found


def with_tensors_for_levels(denoise, x, sigmas, context):
    return euler(right)(lambda x, sigma: denoise(x, torch.tensor(sigma)), x, sigmas, context)


def one_at_a_time(denoise, x, sigmas, context):
    return euler(right)(lambda x, s: torch.cat([denoise(part, s) for part in x.split(1)]), x, sigmas, context)


@pytest.mark.parametrize(
    "sampler",
    [looks_at_level_0, uses_up_the_levels, with_tensors_for_levels, one_at_a_time],
    ids=lambda sampler: sampler.__name__,
)
def test_a_sampler_that_asks_what_no_model_answers_is_caught(sampler: Callable[..., Any]) -> None:
    assert check_sampler("test_latents_stay_finite_and_keep_their_shape", sampler)


@pytest.mark.parametrize(
    ("test", "sampler"),
    [("test_an_observer_may_stop_the_work", late), ("test_each_step_is_observed_once", swapped)],
)
def test_a_sampler_that_tells_of_its_steps_wrongly_is_caught(test: str, sampler: Callable[..., Any]) -> None:
    assert check_sampler(test, sampler)


@pytest.mark.parametrize("stochastic", [False, True])
def test_a_sampler_whose_noise_is_not_what_it_says_is_caught(stochastic: bool) -> None:
    test = "test_the_seed_decides_the_picture_just_when_it_says_that_it_adds_noise"
    assert check_sampler(test, euler(right) if stochastic else noisy(1.0), stochastic=stochastic)
    assert not check_sampler(test, noisy(1.0) if stochastic else euler(right), stochastic=stochastic)


def test_a_sampler_that_fails_at_the_bounds_of_its_options_is_caught() -> None:
    def divides(denoise, x, sigmas, context):
        return euler(right)(denoise, x, sigmas, context) * (context.options["s"] / context.options["s"])

    test = "test_options_at_their_bounds_give_finite_latents_or_are_refused"
    option = Option(name="s", default=1.0, minimum=0, maximum=2, description="A share.")
    with pytest.raises(ZeroDivisionError):
        check_sampler(test, divides, options=(option,))


FAULTY_SAMPLERS = {
    "test_latents_stay_finite_and_keep_their_shape": euler(lambda x, d, s, t, c: x * t / t),
    "test_a_batch_equals_its_single_pictures": euler(lambda x, d, s, t, c: right(x, d.mean(0), s, t, c)),
    "test_latents_estimates_and_noise_are_left_unchanged": euler(
        lambda x, d, s, t, c: x.mul_(t / s).add_(d * (1 - t / s))
    ),
    "test_it_ends_in_the_picture_when_the_model_knows_it": euler(
        lambda x, d, s, t, c: right(x, d, s, max(t, 0.01), c)
    ),
    "test_each_step_is_observed_once": euler(right, tell=False),
    "test_an_observer_may_stop_the_work": deaf,
    "test_it_costs_no_more_evaluations_than_it_says": wasteful,
    "test_it_converges_to_the_exact_solution_at_its_order": euler(
        lambda x, d, s, t, c: right(x, 0.99 * d, s, t, c)
    ),
}


def check_sampler(test: str, sampler: Callable[..., Any], **fields: Any) -> bool:
    info = SamplerInfo(name="faulty", label="Faulty", **fields)
    steps = [3] if "finite_and" in test else []
    return fails(
        getattr(SamplerContract(), test), Entry(info, sampler, "here"), "variance_exploding", {}, *steps
    )


@pytest.mark.parametrize("test", FAULTY_SAMPLERS)
def test_each_fault_of_a_sampler_is_caught_and_a_right_one_passes(test: str) -> None:
    assert check_sampler(test, FAULTY_SAMPLERS[test])
    assert not check_sampler(test, euler(right))


def test_a_sampler_that_claims_too_much_is_caught() -> None:
    assert check_sampler(
        "test_it_converges_to_the_exact_solution_at_its_order", euler(right), order=2, evaluations_per_step=2
    )


@pytest.mark.parametrize(("strength", "caught"), [(1.0, False), (0.9, True), (1.1, True)])
def test_noise_of_the_wrong_strength_is_caught(strength: float, caught: bool) -> None:
    test = "test_fresh_noise_brings_latents_to_the_variance_of_their_level"
    assert check_sampler(test, noisy(strength), stochastic=True) is caught


def test_a_sampler_that_changes_the_type_is_caught() -> None:
    def widening(x, denoised, sigma, sigma_next, context):
        return right(x.double(), denoised.double(), sigma, sigma_next, context)

    entry = Entry(SamplerInfo(name="faulty", label="Faulty"), euler(widening), "here")
    assert fails(SamplerContract().test_latents_keep_their_type, entry, "flow", {}, "float32")


# Schedulers


@pytest.mark.parametrize(
    "levels",
    [
        lambda steps: [1.0] * steps + [0.0],
        lambda steps: [1 - i / steps for i in range(steps)],
        lambda steps: [1 - 0.9 * i / steps for i in range(steps + 1)],
        lambda steps: [float("inf")] + [1 - i / steps for i in range(1, steps + 1)],
        lambda steps: [1.5 - 1.5 * i / steps for i in range(steps)] + [0.0],
    ],
    ids=["level", "short", "above zero", "infinite", "above pure noise"],
)
def test_each_fault_of_a_schedule_is_caught(levels: Callable[[int], list[float]]) -> None:
    info = SchedulerInfo(name="faulty", label="Faulty")
    entry = Entry(info, lambda steps, table, options: levels(steps), "here")
    check = SchedulerContract().test_levels_fall_to_zero_in_as_many_steps_as_asked_for
    assert fails(check, entry, noise_schedules("flow")[0], {})


def test_a_scheduler_that_refuses_the_models_it_is_made_for_is_caught() -> None:
    def refuse(*_: Any) -> list[float]:
        raise BadInput("No.")

    entry = Entry(SchedulerInfo(name="faulty", label="Faulty"), refuse, "here")
    with pytest.raises(BadInput):
        SchedulerContract().test_it_serves_the_models_it_is_made_for(entry, noise_schedules("flow")[0], {})


@pytest.mark.parametrize("share", [0.1, 2.0])
def test_a_scheduler_that_begins_elsewhere_than_the_noise_does_is_caught(share: float) -> None:
    def falling(steps, table, options):
        return [share * table.sigmas[-1] * (1 - i / steps) for i in range(steps)] + [0.0]

    entry = Entry(SchedulerInfo(name="faulty", label="Faulty"), falling, "here")
    table = noise_schedules("variance_exploding")[0]
    assert fails(SchedulerContract().test_it_serves_the_models_it_is_made_for, entry, table, {})


def test_a_scheduler_that_changes_its_options_is_caught() -> None:
    def careless(steps, table, options):
        options.clear()
        return [1 - i / steps for i in range(steps)] + [0.0]

    entry = Entry(SchedulerInfo(name="faulty", label="Faulty"), careless, "here")
    check = SchedulerContract().test_levels_fall_to_zero_in_as_many_steps_as_asked_for
    assert fails(check, entry, noise_schedules("flow")[0], {"bend": 1})


# Stages


@pytest.mark.parametrize(
    ("test", "stage"),
    [
        ("test_a_picture_stays_a_picture", lambda pixels, context: pixels.float()),
        ("test_a_picture_stays_a_picture", lambda pixels, context: pixels[..., :1]),
        ("test_a_picture_stays_a_picture", lambda pixels, context: pixels.add_(1)),
    ],
    ids=["type", "channels", "in place"],
)
def test_each_fault_of_a_picture_stage_is_caught(test: str, stage: Callable[..., Any]) -> None:
    entry = Entry(StageInfo(name="faulty", label="Faulty", at="picture"), stage, "here")
    assert fails(getattr(StageContract(), test), entry, "picture", [{}])


def test_a_stage_that_follows_the_programs_own_random_numbers_is_caught() -> None:
    def grain(pixels, context):
        return pixels + torch.randint(0, 2, pixels.shape, dtype=torch.uint8)

    entry = Entry(StageInfo(name="faulty", label="Faulty", at="picture"), grain, "here")
    assert fails(StageContract().test_the_same_seed_gives_the_same_picture, entry, "picture", {})


def test_a_stage_that_mixes_the_pictures_of_a_batch_is_caught() -> None:
    entry = Entry(
        StageInfo(name="faulty", label="Faulty", at="latents"), lambda x, context: x - x.mean(), "here"
    )
    assert len(SEEDS) == 2
    assert fails(StageContract().test_a_batch_equals_its_single_pictures, entry, "latents", {})


# Upscalers and face restorers


def doubled(picture: torch.Tensor) -> torch.Tensor:
    return picture.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize(
    "upscaler",
    [
        lambda picture, width, height, context: doubled(picture),
        lambda picture, width, height, context: doubled(picture)[..., :height, :width] * 2,
        lambda picture, width, height, context: doubled(picture)[..., :height, :width].double(),
    ],
    ids=["size", "range", "type"],
)
def test_each_fault_of_an_upscaler_is_caught(upscaler: Callable[..., Any]) -> None:
    entry = Entry(UpscalerInfo(name="faulty", label="Faulty"), upscaler, "here")
    check = UpscalerContract().test_it_comes_to_the_size_asked_for
    given = torch.rand(2, 3, 12, 16)
    assert any(fails(check, entry, UpscaleContext(), given, size) for size in ((20, 15), (32, 24)))


def test_an_upscaler_that_changes_what_it_is_given_is_caught() -> None:
    def upscaler(picture, width, height, context):
        return torch.nn.functional.interpolate(picture.mul_(0.5), (height, width))

    entry = Entry(UpscalerInfo(name="faulty", label="Faulty"), upscaler, "here")
    check = UpscalerContract().test_what_was_given_is_left_unchanged
    assert fails(check, entry, UpscaleContext(), torch.rand(2, 3, 12, 16))


@pytest.mark.parametrize(
    "restorer",
    [
        lambda pixels, options, context: pixels.float(),
        lambda pixels, options, context: pixels[:, ::2],
        lambda pixels, options, context: pixels.add_(1),
    ],
    ids=["type", "shape", "in place"],
)
def test_each_fault_of_a_face_restorer_is_caught(restorer: Callable[..., Any]) -> None:
    entry = Entry(FaceRestorerInfo(name="faulty", label="Faulty"), restorer, "here")
    check = FaceRestorerContract().test_a_picture_keeps_its_shape_and_is_left_unchanged_itself
    assert fails(check, entry)


# Pages


def page(html: str) -> Entry[PageInfo]:
    """A page that shows this, with another one below it."""
    from flask import Blueprint

    def build(studio: Studio) -> Blueprint:
        built = Blueprint("faulty", __name__)
        built.add_url_rule("/", view_func=lambda: html, endpoint="show")
        built.add_url_rule("/more", view_func=lambda: html, endpoint="more")
        return built

    return Entry(PageInfo(name="faulty", label="Faulty"), build, "here")


def test_a_page_without_a_title_is_caught(tmp_path: Path) -> None:
    from sfumato.testing.pages import serve

    entry = page("<p>Hello</p>")
    client = serve(entry, Studio(Settings.load(file=tmp_path / "settings.toml", environ={})))
    assert fails(PageContract().test_its_root_answers_with_a_titled_page, entry, client)


@pytest.mark.parametrize(
    ("link", "caught"),
    [("/faulty/more", True), ("nothing", True), ("more?a=1", False), ("https://example.org/", False)],
)
def test_a_page_that_knows_its_own_address_is_caught(link: str, caught: bool, tmp_path: Path) -> None:
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}))
    check = PageContract().test_it_can_be_served_at_any_address_and_twice
    assert fails(check, page(f'<title>A</title><a href="{link}">More</a>'), studio) is caught


# Trainers


def trainer(*, cancels: bool = True, whole: bool = True, tells: bool = True) -> Callable[..., Any]:
    def train(config, context):
        if not whole:
            config.output.with_suffix(".part").touch()
        for step in range(config.steps):
            if tells:
                context.events.emit(StepCompleted(step=step + 1, steps=config.steps))
            if cancels:
                context.cancel.check()
        config.output.write_bytes(b"weights")
        return TrainingResult(path=config.output, steps=config.steps, loss=1.0)

    return train


@pytest.mark.parametrize(
    ("test", "faults"),
    [
        ("test_it_writes_weights_and_tells_of_every_step", {"tells": False}),
        ("test_it_writes_weights_and_tells_of_every_step", {"whole": False}),
        ("test_cancelled_it_leaves_no_weights", {"cancels": False}),
        ("test_cancelled_it_leaves_no_weights", {"whole": False}),
    ],
)
def test_each_fault_of_a_trainer_is_caught(test: str, faults: dict[str, bool], tmp_path: Path) -> None:
    class Faulty(TrainerContract):
        name = "faulty"

    def caught(train: Callable[..., Any], folder: Path) -> bool:
        (folder / "trained").mkdir(parents=True)
        entry = Entry(TrainerInfo(name="faulty", label="Faulty"), train, "here")
        studio = Studio(Settings.load(file=folder / "settings.toml", environ={}))
        context = TaskContext(studio.registries, studio.library, studio.settings, folder)
        output = folder / "trained" / "weights.safetensors"
        return fails(getattr(Faulty(), test), entry, folder, output, {}, context)

    assert caught(trainer(**faults), tmp_path / "faulty")
    assert not caught(trainer(), tmp_path / "right")


def test_a_trainer_whose_weights_follow_the_programs_own_random_numbers_is_caught(tmp_path: Path) -> None:
    def train(config, context):
        safetensors.torch.save_file({"a": torch.rand(3)}, config.output)
        return TrainingResult(path=config.output, steps=config.steps, loss=1.0)

    class Faulty(TrainerContract):
        name = "faulty"

    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}))
    context = TaskContext(studio.registries, studio.library, studio.settings, tmp_path)
    entry = Entry(TrainerInfo(name="faulty", label="Faulty"), train, "here")
    check = Faulty().test_the_same_seed_gives_the_same_weights
    assert fails(check, entry, tmp_path, tmp_path / "a.safetensors", {}, context)


# Model families


class Blind:
    """Takes any file with a tensor "a", whatever its shape."""

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        return ModelInfo(name="x", family="blind", path=header.path) if "a" in header.tensors else None


class Named:
    """Goes by what the file is called."""

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        return ModelInfo(name="x", family="named", path=header.path) if "tiny" in header.path.name else None


@pytest.mark.parametrize(
    ("test", "family", "other"),
    [
        ("test_what_a_file_is_called_decides_nothing", Named(), Blind()),
        ("test_damaged_checkpoints_are_refused_or_left_to_others", Blind(), None),
    ],
)
def test_a_family_that_detects_by_the_wrong_things_is_caught(
    test: str, family: Any, other: Any, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.safetensors"
    safetensors.torch.save_file({"a": torch.ones(2, 3)}, path)
    library = library_of(tmp_path, Installation().registries)
    folder = [tmp_path] if "called" in test else []
    assert fails(getattr(ModelFamilyContract(), test), family, path, library, *folder)
    assert not (other and fails(getattr(ModelFamilyContract(), test), other, path, library, *folder))


class MeanOfWords:
    """Conditions on how long the words are; that of no words is not a number unless it takes care."""

    latent_format = LatentFormat(channels=1)

    def __init__(self, careful: bool) -> None:
        self.careful = careful

    def noise_schedule(self, width: int, height: int, options: dict[str, Any]) -> NoiseSchedule:
        return noise_schedules("flow")[0]

    def condition(self, text: PromptText, options: dict[str, Any]) -> torch.Tensor:
        lengths = torch.tensor([len(word) for chunk in text.chunks for word, _ in chunk]).float()
        return lengths.mean().nan_to_num() if self.careful else lengths.mean()

    def denoise(
        self, x: torch.Tensor, sigma: float, conditioning: Any, options: Any, *, picture: Any = None
    ) -> torch.Tensor:
        return x * torch.stack(conditioning)[:, None, None, None]


def test_a_model_that_cannot_draw_an_empty_prompt_is_caught() -> None:
    def check(careful: bool) -> bool:
        test = ModelFamilyContract().test_any_prompt_can_be_drawn_beside_another
        return fails(test, MeanOfWords(careful), {}, None, PromptText(chunks=((),)))

    assert check(careful=False)
    assert not check(careful=True)


class Layered:
    """A network of one layer of four rows, and the names that the test gives it."""

    def __init__(self, **names: LayerTarget) -> None:
        self.networks = {"transformer": torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())}
        self.names = names

    def layer_names(self, part: str) -> dict[str, LayerTarget]:
        return self.names


@pytest.mark.parametrize(
    ("test", "target", "caught"),
    [
        ("test_layers_are_named_where_they_lie", LayerTarget("0", rows=(2, 4)), False),
        ("test_layers_are_named_where_they_lie", LayerTarget("0", rows=(2, 5)), True),
        ("test_layers_are_named_where_they_lie", LayerTarget("1"), True),
        ("test_layers_are_named_where_they_lie", LayerTarget("0", rows=(0, 3), halves_swapped=True), True),
        ("test_a_layer_goes_by_its_own_name_too", LayerTarget("0"), False),
        ("test_a_layer_goes_by_its_own_name_too", LayerTarget("0", rows=(0, 4)), True),
        ("test_parts_that_it_lacks_have_no_layers", LayerTarget("0"), True),
    ],
)
def test_a_model_that_names_its_layers_wrongly_is_caught(
    test: str, target: LayerTarget, caught: bool
) -> None:
    model = Layered(**{"0": target})
    assert fails(getattr(ModelFamilyContract(), test), model) is caught


class Sighted:
    """Sees a picture, or not, whatever it says of itself."""

    latent_format = LatentFormat(channels=1)

    def __init__(self, says: bool, sees: bool) -> None:
        self.info = ModelInfo(name="x", family="sighted", path=Path("x"), sees_picture=says)
        self.sees = sees

    def noise_schedule(self, width: int, height: int, options: dict[str, Any]) -> NoiseSchedule:
        return noise_schedules("flow")[0]

    def condition(self, text: PromptText, options: dict[str, Any]) -> None:
        return None

    def see(self, pixels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return pixels.mean() if self.sees else torch.zeros(())

    def denoise(
        self, x: torch.Tensor, sigma: float, conditioning: Any, options: Any, *, picture: Any
    ) -> torch.Tensor:
        return x + picture


def test_a_model_that_does_not_see_what_it_says_is_caught() -> None:
    contract = ModelFamilyContract()

    def check(model: Sighted) -> bool:
        picture = model.see(*contract.picture_and_mask())
        return fails(contract.test_it_sees_a_picture_just_when_it_says_so, model, {}, picture)

    assert check(Sighted(says=True, sees=False))
    assert check(Sighted(says=False, sees=True))
    assert not check(Sighted(says=True, sees=True))


# Plugins as a whole


def test_a_plugin_whose_hook_imports_a_tensor_library_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Probe(PluginContract):
        name = "probe"

    (tmp_path / "probe.py").write_text(
        "from sfumato.hookspecs import hookimpl\n\nSFUMATO_API = '1.0'\n\n\n"
        "@hookimpl\ndef register_samplers(samplers):\n    import safetensors\n",
        "utf-8",
    )
    (tmp_path / "probe-1.dist-info").mkdir()
    (tmp_path / "probe-1.dist-info" / "METADATA").write_text("Name: probe\nVersion: 1\n", "utf-8")
    (tmp_path / "probe-1.dist-info" / "entry_points.txt").write_text("[sfumato]\nprobe = probe\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert fails(Probe().test_listing_what_it_brings_imports_nothing_heavy, Installation())


# Weight formats


class Counted:
    """A format of one line of JSON, then the data, that trusts what it reads."""

    careful = False

    def read_header(self, path: Path) -> CheckpointHeader:
        try:
            line, _, data = path.read_bytes().partition(b"\n")
            sizes = json.loads(line)
            if self.careful and sum(sizes.values()) != len(data):
                raise CheckpointError("The file was cut off.")
            tensors = {name: TensorInfo("U8", (size,), 0, size) for name, size in sizes.items()}
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            if not self.careful:
                raise
            raise CheckpointError("The file is damaged.") from error
        return CheckpointHeader(path, "single_file", "counted", tensors)

    def open_tensors(self, path: Path) -> dict[str, torch.Tensor]:
        return {name: torch.zeros(info.shape) for name, info in self.read_header(path).tensors.items()}


class Careful(Counted):
    careful = True


@pytest.mark.parametrize(("reader", "caught"), [(Counted(), True), (Careful(), False)])
def test_a_format_that_trusts_what_it_reads_is_caught(reader: Counted, caught: bool, tmp_path: Path) -> None:
    contract, path = WeightFormatContract(), tmp_path / "tiny.counted"
    path.write_bytes(b'{"a": 2, "b": 4}\n' + struct.pack("6B", *range(6)))
    assert fails(contract.test_a_file_that_was_cut_off_is_refused, reader, path, 0.9) is caught
    if caught:
        with pytest.raises((ValueError, AttributeError)):
            contract.test_what_is_no_such_file_is_refused(reader, path, b"\xff" * 64)
    else:
        contract.test_what_is_no_such_file_is_refused(reader, path, b"\xff" * 64)


class Unlooking(Careful):
    """A folder with a file that counts, and does not look whether it is whole."""

    careful = False

    def read_header(self, path: Path) -> CheckpointHeader:
        weights = path / "weights.counted"
        try:
            header = super().read_header(weights)
        except (ValueError, AttributeError, TypeError) as error:
            raise CheckpointError("The file is damaged.") from error
        tensors = {name: replace(info, file=weights) for name, info in header.tensors.items()}
        return replace(header, path=path, tensors=tensors)


def test_a_folder_format_that_does_not_see_that_weights_were_cut_off_is_caught(tmp_path: Path) -> None:
    (tmp_path / "weights.counted").write_bytes(b'{"a": 2, "b": 4}\n' + bytes(6))
    (tmp_path / "README.md").write_text("Anything.", "utf-8")
    reader = Unlooking()
    check = WeightFormatContract().test_a_file_that_was_cut_off_is_refused
    assert fails(check, reader, tmp_path, 0.9)
    reader.careful = True
    assert not fails(check, reader, tmp_path, 0.9)
