"""What a sampling loop costs beside the model: our samplers, a bare loop and k-diffusion in one run.

    python -m benchmarks.sampling_overhead [--repeats 15] [--threads 1]

The denoiser hands out a ready tensor, so that only the loop is measured; noise is ready too, except in the
rows that say Brownian, where k-diffusion draws it as it does by default. The rows of a Flux model have all
that surrounds its transformer, whose answer is ready: packing and time steps in the bare loop; in the engine
also guidance, prompts over steps, cancelling, progress and events. Runs of 20 and 40 steps are timed in
turns; their difference is the cost of a step, without what a call costs once.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import distribution, version
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Cell, Report
from sfumato import Studio
from sfumato.events import CancelToken, EventBus
from sfumato.models import Placement, PromptText
from sfumato.registries import Registries
from sfumato.registry import Entry
from sfumato.sampling import SamplerInfo, SamplingContext
from sfumato_engine.guidance import Guidance, GuidedModel, PromptPart
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.progress import Progress
from sfumato_engine.sampling_pass import SamplingPass
from sfumato_engine.timeline import Timeline
from sfumato_models_flux.transformer import pack, unpack
from sfumato_samplers import plugin

STEPS = (20, 40)
SHAPE = (1, 16, 16, 16)
STOCHASTIC = ("euler_ancestral", "dpmpp_sde", "dpmpp_2m_sde")

Run = Callable[[list[float]], Tensor]


def bare_loop(target: Tensor, x: Tensor) -> Run:
    """The least that yields Euler's latents."""

    def run(sigmas: list[float]) -> Tensor:
        y = x
        for sigma, sigma_next in pairwise(sigmas):
            y = y + (y - target) / sigma * (sigma_next - sigma)
        return y

    return run


def registered(name: str) -> tuple[Entry[SamplerInfo], dict[str, Any]]:
    """A sampler of ours and its options."""
    registries = Registries()
    registrar = registries.samplers.registrar("samplers")
    plugin.register_samplers(registrar)
    registrar.commit()
    entry = registries.samplers.get(name)
    return entry, {option.name: option.default for option in entry.info.options}


def our_sampler(name: str, target: Tensor, x: Tensor) -> Run:
    (entry, options), noise = registered(name), torch.randn_like(x)
    sample = entry.load()
    context = SamplingContext("flow", noise=lambda sigma, sigma_next: noise, options=options)
    return lambda sigmas: sample(lambda latents, sigma: target, x, sigmas, context)


def ready_flux() -> tuple[Any, Any]:
    """The embedded Flux with a transformer that hands out a ready answer, and a prompt for it."""
    studio = Studio()
    info = studio.library.find("emoji")
    model = studio.registries.model_families.get(info.family).load()().load(info, studio.library, Placement())
    prompt = model.condition(PromptText(((("a red apple", 1.0),),)), {})
    answer = torch.randn_like(pack(torch.zeros(SHAPE)))
    model.transformer.forward = lambda *inputs: answer
    return model, prompt


def bare_flux_loop(model: Any, prompt: Any, x: Tensor) -> Run:
    """The least that Euler's method needs around a Flux transformer."""
    h, w = x.shape[2:]
    rotary = model._rotary_table(h, w, prompt.context.shape[1])

    def run(sigmas: list[float]) -> Tensor:
        y = x
        for sigma, sigma_next in pairwise(sigmas):
            time_step = torch.full((1,), sigma)
            velocity = model.transformer(pack(y), time_step, prompt.context, prompt.vector, rotary, None)
            y = y + (sigma_next - sigma) * unpack(velocity, h, w)
        return y

    return run


def engine_loop(name: str, model: Any, prompt: Any, shape: tuple[int, ...]) -> Run:
    """The engine's whole loop, as a request without guidance runs it."""
    (entry, options), cancel = registered(name), CancelToken()
    guidance = Guidance([PromptPart(1.0, Timeline([(40, prompt)]))], None, 1.0)

    def run(sigmas: list[float]) -> Tensor:
        guided = GuidedModel(model, guidance, {}, sigmas)
        progress = Progress(EventBus(), len(sigmas) - 1, 1)
        progress.start_batch(0)
        noise = ImageNoise(NoiseSettings(seeds=(0,)), shape, "cpu", (sigmas[-2], sigmas[0]))
        one_pass = SamplingPass(guided, entry, options, sigmas, "flow")
        return one_pass.run(noise, progress.step, cancel, lambda denoise: denoise)

    return run


def k_diffusion_sampler(sampling: ModuleType, name: str, target: Tensor, x: Tensor, *, brownian: bool) -> Run:
    sample, noise = getattr(sampling, f"sample_{name}"), torch.randn_like(x)
    options: dict[str, Any] = {"disable": True}
    if name in STOCHASTIC and not brownian:
        options["noise_sampler"] = lambda sigma, sigma_next: noise
    return lambda sigmas: sample(lambda latents, sigma: target, x, torch.tensor(sigmas), **options)


def k_diffusion_sampling() -> ModuleType:
    """`k_diffusion.sampling` alone: its package would import torchvision, clip and others not needed here."""
    package, solver = ModuleType("k_diffusion"), ModuleType("torchdiffeq")
    utils = ModuleType("k_diffusion.utils")
    utils.append_dims = lambda value, ndim: value[(...,) + (None,) * (ndim - value.ndim)]  # type: ignore[attr-defined]
    package.utils, solver.odeint = utils, None  # type: ignore[attr-defined]
    sys.modules |= {"k_diffusion": package, "k_diffusion.utils": utils, "torchdiffeq": solver}
    path = Path(str(distribution("k-diffusion").locate_file("k_diffusion/sampling.py")))
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def microseconds_a_step(run: Run, repeats: int) -> float:
    """CPU time of one more step, the median over `repeats`."""
    schedules = [[(steps - i) / steps * 0.999 for i in range(steps + 1)] for steps in STEPS]
    differences = []
    run(schedules[0])
    for _ in range(repeats):
        seconds = []
        for sigmas in schedules:
            start = time.process_time()
            run(sigmas)
            seconds.append(time.process_time() - start)
        differences.append((seconds[1] - seconds[0]) / (STEPS[1] - STEPS[0]))
    return statistics.median(differences) * 1e6


def measure(repeats: int) -> list[dict[str, Cell]]:
    generator = torch.Generator().manual_seed(0)
    x, target = (torch.randn(SHAPE, generator=generator) for _ in range(2))
    peer = k_diffusion_sampling()
    runs = {("euler", "bare loop"): bare_loop(target, x)}
    for name in ("euler", "heun", "dpmpp_2m", *STOCHASTIC):
        runs[name, "sfumato"] = our_sampler(name, target, x)
        runs[name, "k-diffusion"] = k_diffusion_sampler(peer, name, target, x, brownian=False)
        if "sde" in name:
            runs[name, "k-diffusion, Brownian"] = k_diffusion_sampler(peer, name, target, x, brownian=True)
    model, prompt = ready_flux()
    runs["euler", "bare loop, Flux"] = bare_flux_loop(model, prompt, x)
    for name in ("euler", "dpmpp_2m"):
        runs[name, "sfumato's engine, Flux"] = engine_loop(name, model, prompt, SHAPE[1:])
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchsde remarks on rounding of the interval's ends
        return [
            {"sampler": name, "runner": runner, "CPU us a step": round(microseconds_a_step(run, repeats), 1)}
            for (name, runner), run in runs.items()
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    setting = {
        "latents": "x".join(map(str, SHAPE)),
        "dtype": "float32",
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "k-diffusion": version("k-diffusion"),
    }
    aim = "Euler 60 us or less, DPM++ 2M 80 us or less"
    title = "What the sampling loop costs beside the model"
    Report("sampling_overhead", title, aim, setting, measure(arguments.repeats)).finish()


if __name__ == "__main__":
    main()
