"""An SDXL-layout UNet beside diffusers, 20 Euler steps with CFG, and a Flux-layout transformer, some steps.

    python -m benchmarks.sdxl_sampling [--size quick|state] [--dtype bfloat16] [--comfyui DIR]

Everything is random, cut down, and of the same weights for all runners. Ours is the engine's own loop, with
guidance, progress and cancelling; diffusers runs in its pipeline and in the least loop around its network.
'difference' is how far the latents are from those of diffusers' pipeline: the norm, as a share. The rows of
one evaluation compare both prompts of CFG in one batch with two passes, where two passes are 1.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tests.tiny_models import sd
from tests.tiny_models.flux import TinyFlux
from torch import Tensor

from benchmarks.sampling_overhead import registered
from benchmarks.sdxl_models import MEDIUM, SMALL, WIDE, load_model
from benchmarks.timing import Cell, Report, Timing, take_turns, time_call
from sfumato.events import CancelToken, EventBus
from sfumato.models import PromptText
from sfumato_engine.batching import passes_side_by_side
from sfumato_engine.guidance import Guidance, GuidedModel, PromptPart
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.progress import Progress
from sfumato_engine.sampling_pass import SamplingPass
from sfumato_engine.timeline import Timeline
from sfumato_samplers.schedules.karras import karras

OURS, PEER, LOOP, COMFYUI = "sfumato", "diffusers pipeline", "diffusers, least loop", "ComfyUI"
STEPS, CFG_SCALE = 20, 5.0

FLUX = TinyFlux(8, 128, 4, 9, context_size=1024, vector_size=768)
"""About 300 M weights."""
SMALL_FLUX = replace(FLUX, double_blocks=1, single_blocks=2)

Run = Callable[[], Tensor]


@dataclass(frozen=True)
class Size:
    """What is run: latents along a side, rounds, and sides and network of single evaluations."""

    unet: sd.TinySD
    side: int
    rounds: int
    batched: sd.TinySD
    batched_sides: tuple[int, ...]
    flux: TinyFlux
    flux_steps: int


SIZES = {
    "tiny": Size(SMALL, 16, 1, SMALL, (16,), SMALL_FLUX, 2),
    "quick": Size(SMALL, 32, 3, MEDIUM, (16, 32, 64), SMALL_FLUX, 4),
    "state": Size(MEDIUM, 32, 3, WIDE, (16, 32, 64, 128), FLUX, 4),
}


@dataclass(frozen=True)
class Case:
    """One picture to sample: everything but the network, which each runner has in a form of its own."""

    model: Any
    positive: Any
    negative: Any
    sigmas: list[float]
    side: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return (4, self.side, self.side)

    @property
    def pixels(self) -> int:
        return 8 * self.side

    def noise(self) -> ImageNoise:
        """The starting noise, the same each time."""
        return ImageNoise(NoiseSettings(seeds=(0,)), self.shape, "cpu", (self.sigmas[-2], self.sigmas[0]))


def case_of(tiny: sd.TinySD, folder: Path, dtype: str, side: int) -> Case:
    path = sd.write_single_file(tiny, folder, "model", getattr(torch, dtype))
    model = load_model(path, dtype)
    texts = (("The blue one", False), ("red", True))
    positive, negative = (
        model.condition(PromptText((((text, 1.0),),), is_negative=is_negative), {})
        for text, is_negative in texts
    )
    schedule = model.noise_schedule(8 * side, 8 * side, {})
    sigmas = karras(STEPS, schedule, {"rho": 7.0, "sigma_min": 0.0, "sigma_max": 0.0})
    return Case(model, positive, negative, sigmas, side)


def our_run(case: Case) -> Run:
    """The engine's loop, passes chosen by size as a request has them."""
    entry, options = registered("euler")
    together = passes_side_by_side("auto", 2, case.side**2) == 2
    parts = [PromptPart(1.0, Timeline([(STEPS, case.positive)]))]
    negative = Timeline([(STEPS, case.negative)])
    guidance = Guidance(parts, negative, CFG_SCALE, one_batch=together)

    def run() -> Tensor:
        progress = Progress(EventBus(), STEPS, 1)
        progress.start_batch(0)
        guided = GuidedModel(case.model, guidance, {}, case.sigmas)
        one_pass = SamplingPass(guided, entry, options, case.sigmas, "variance_exploding")
        return one_pass.run(case.noise(), progress.step, CancelToken(), lambda denoise: denoise)

    return run


def peer_unet(tiny: sd.TinySD, dtype: str) -> Any:
    """Diffusers' network of the same weights."""
    from diffusers import UNet2DConditionModel
    from tests.tiny_models.sd_folder import unet_config

    sizes = {name: value for name, value in unet_config(tiny).items() if name != "_class_name"}
    unet = UNet2DConditionModel(**sizes)
    unet.load_state_dict(sd.diffusers_unet(tiny))
    return unet.to(getattr(torch, dtype)).eval()


def peer_scheduler(tiny: sd.TinySD) -> Any:
    from diffusers import EulerDiscreteScheduler
    from tests.tiny_models.sd_folder import scheduler_config

    return EulerDiscreteScheduler.from_config(scheduler_config(tiny), timestep_spacing="linspace")


def pipeline_run(case: Case, tiny: sd.TinySD, unet: Any) -> Run:
    from diffusers import StableDiffusionXLPipeline

    absent = dict.fromkeys(("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    pipeline = StableDiffusionXLPipeline(unet=unet, scheduler=peer_scheduler(tiny), **absent)
    pipeline.set_progress_bar_config(disable=True)

    def run() -> Tensor:
        found: Tensor = pipeline(
            prompt_embeds=case.positive.context,
            pooled_prompt_embeds=case.positive.pooled,
            negative_prompt_embeds=case.negative.context,
            negative_pooled_prompt_embeds=case.negative.pooled,
            sigmas=case.sigmas,
            guidance_scale=CFG_SCALE,
            latents=case.noise().initial().to(case.positive.context.dtype),
            height=case.pixels,
            width=case.pixels,
            output_type="latent",
        ).images
        return found

    return run


def least_loop_run(case: Case, tiny: sd.TinySD, unet: Any) -> Run:
    """The least that yields the same latents with diffusers' network: both prompts in one batch."""
    scheduler, dtype = peer_scheduler(tiny), case.positive.context.dtype
    scheduler.set_timesteps(sigmas=case.sigmas)
    context = torch.cat((case.negative.context, case.positive.context))
    size = (case.pixels, case.pixels)
    added = {
        "text_embeds": torch.cat((case.negative.pooled, case.positive.pooled)),
        "time_ids": torch.tensor([[*size, 0, 0, *size]] * 2, dtype=dtype),
    }

    def run() -> Tensor:
        x = case.noise().initial() * case.sigmas[0]
        for (sigma, sigma_next), timestep in zip(pairwise(case.sigmas), scheduler.timesteps, strict=True):
            scaled = (torch.cat((x, x)) / (sigma**2 + 1) ** 0.5).to(dtype)
            output = unet(scaled, timestep, context, added_cond_kwargs=added, return_dict=False)[0]
            away, towards = output.float().chunk(2)
            x = x + (sigma_next - sigma) * torch.lerp(away, towards, CFG_SCALE)
        return x

    return run


def steps_rows(report: Report, size: Size, folder: Path, dtype: str, comfyui: Path | None) -> None:
    """All steps of a picture, by every runner."""
    case = case_of(size.unet, folder, dtype, size.side)
    unet = peer_unet(size.unet, dtype)
    runs = {
        OURS: our_run(case),
        PEER: pipeline_run(case, size.unet, unet),
        LOOP: least_loop_run(case, size.unet, unet),
    }
    if comfyui is not None:
        from benchmarks.comfyui_sampling import comfyui_run

        runs[COMFYUI] = comfyui_run(comfyui, case, size.unet, CFG_SCALE)
    title = f"SDXL layout, {STEPS} steps, {size.side}x{size.side} latents"
    add_compared(report, title, runs, PEER, size.rounds)


def add_compared(report: Report, title: str, runs: dict[str, Run], peer: str, rounds: int) -> None:
    """One row a runner: its time, and how far its result is from the peer's."""
    expected = runs[peer]().double()
    apart = {name: float((run().double() - expected).norm() / expected.norm()) for name, run in runs.items()}
    report.add(title, take_turns({name: timed(run) for name, run in runs.items()}, rounds), peer=peer)
    for row in report.rows[-len(runs) :]:
        row["difference"] = round(apart[str(row["runner"])], 7)


def timed(run: Callable[[], Any]) -> Callable[[], Timing]:
    return lambda: time_call(run)


def batching_rows(report: Report, size: Size, folder: Path, dtype: str) -> None:
    """One step's evaluations of the UNet alone: both prompts in one batch, or one after the other."""
    case = case_of(size.batched, folder, dtype, size.batched_sides[0])
    for side in size.batched_sides:
        x = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(0))
        together, prompts = x.repeat(2, 1, 1, 1), [case.positive, case.negative]
        evaluate, sigma = case.model.denoise, case.sigmas[STEPS // 2]
        batch = timed(lambda: evaluate(together, sigma, prompts, {}))  # noqa: B023
        passes = timed(lambda: [evaluate(x, sigma, [prompt], {}) for prompt in prompts])  # noqa: B023
        names = ("one batch", "two passes")
        rounds = size.rounds if side < 128 else 1
        timings = take_turns(dict(zip(names, (batch, passes), strict=True)), rounds)
        width = "-".join(map(str, size.batched.channels))
        report.add(f"one step, widths {width}, {side}x{side}", timings, peer="two passes")


def flux_rows(report: Report, size: Size, dtype: str) -> None:
    """Some steps of both networks, each in the least loop."""
    from tests.tiny_models.oracle import transformer as peer_transformer

    from sfumato_models_flux.transformer import FluxTransformer, image_positions
    from sfumato_networks.weights import build_empty, load_network

    tiny, kind, tokens = size.flux, getattr(torch, dtype), 16
    ours = build_empty(lambda: FluxTransformer(tiny.transformer_config))
    ours = load_network(ours, tiny.transformer(), kind, "cpu", where="random weights")
    peer = peer_transformer(tiny).to(kind).eval()
    generator = torch.Generator().manual_seed(0)
    sizes = ((1, tokens**2, 64), (1, 64, tiny.context_size), (1, tiny.vector_size))
    x, context, vector = (torch.randn(shape, generator=generator).to(kind) for shape in sizes)
    positions, text = image_positions(2 * tokens, 2 * tokens), torch.zeros(64, 3)
    rotary = ours.rotary(positions, text.to(positions.dtype))

    def our_velocity(y: Tensor, time: Tensor) -> Tensor:
        return ours(y, time, context, vector, rotary)

    def peer_velocity(y: Tensor, time: Tensor) -> Tensor:
        given = {"encoder_hidden_states": context, "pooled_projections": vector, "timestep": time}
        found: Tensor = peer(y, **given, img_ids=positions.float(), txt_ids=text, return_dict=False)[0]
        return found

    levels = [1 - step / size.flux_steps for step in range(size.flux_steps + 1)]

    def euler(velocity: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        y = x.float()
        for sigma, sigma_next in pairwise(levels):
            # Both take the time in the type they compute in, which rounds it.
            y = y + (sigma_next - sigma) * velocity(y.to(kind), torch.tensor([sigma], dtype=kind)).float()
        return y

    runs: dict[str, Run] = {OURS: lambda: euler(our_velocity), LOOP: lambda: euler(peer_velocity)}
    weights = round(sum(weight.numel() for weight in ours.parameters()) / 1e6)
    title = f"Flux layout, {weights} M weights, {size.flux_steps} steps, {tokens**2} + 64 tokens"
    add_compared(report, title, runs, LOOP, size.rounds)


def measure(options: argparse.Namespace) -> None:
    size = SIZES[options.size]
    setting: dict[str, Cell] = {
        "CFG scale": CFG_SCALE,
        "dtype": options.dtype,
        "threads": options.threads,
        "rounds": size.rounds,
    }
    aim = "no slower than diffusers, the same latents; the passes of CFG in one batch where that is quicker"
    report = Report("sdxl_sampling", "UNets of SDXL's layout, and Flux's", aim, setting)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        steps_rows(report, size, Path(folder) / "steps", options.dtype, options.comfyui)
        batching_rows(report, size, Path(folder) / "batching", options.dtype)
        flux_rows(report, size, options.dtype)
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="quick", help="'state' takes a quarter of an hour")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="a checkout of ComfyUI, run beside")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    measure(options)


if __name__ == "__main__":
    main()
