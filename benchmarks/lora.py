"""Three LoRAs on a Flux transformer beside diffusers: put in force, one weight changed, a step with them.

    python -m benchmarks.lora [--rounds 3] [--threads 1]

The files are kohya's, of ranks 16, 32 and 64, for 10 layers of the real width (3072): 340 M weights. The peer
loads them with `load_lora_weights` and either fuses them, or leaves them beside the layers (PEFT). Every
measurement has a process of its own; 'apply' is from the files to a model that is ready for its next step.
'change off by' compares what the LoRAs change in the output with what they change in the fused peer's: the
norm of the difference, as a share. Rounding to bfloat16 alone makes some hundredths.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.checkpoint_load import CHECKPOINT, our_loader, peer_loader, write_checkpoint
from benchmarks.timing import Cell, Report, Timing, time_call
from sfumato.models import LayerTarget
from sfumato_models_flux.config import FluxConfig, expected_shapes

MERGED, ON_THE_FLY = "sfumato, merged", "sfumato, on the fly"
FUSED, BESIDE = "diffusers, fused", "diffusers, PEFT beside"
COMFYUI = "ComfyUI, merged"
CONFIG = FluxConfig(double_blocks=1, single_blocks=1, guidance=False)
RANKS = (16, 32, 64)
WEIGHTS, CHANGED = (0.7, 0.5, 0.3), (0.7, 0.2, 0.3)
IMAGE_TOKENS, TEXT_TOKENS = 256, 64
FORWARDS = 5


def write_loras(folder: Path, config: FluxConfig) -> None:
    """One file a rank in the folder of LoRAs, for the attentions and MLPs of all blocks."""
    from safetensors.torch import save_file

    (folder / "loras").mkdir()
    for rank in RANKS:
        generator, tensors = torch.Generator().manual_seed(rank), {}
        for name, shape in expected_shapes(config).items():
            layer = name.removesuffix(".weight")
            if "_blocks." not in name or layer == name or len(shape) != 2 or "mod" in layer:
                continue
            stem = f"lora_unet_{layer.replace('.', '_')}"
            for part, size in (("lora_down", (rank, shape[1])), ("lora_up", (shape[0], rank))):
                numbers = torch.randn(size, generator=generator) * 0.05
                tensors[f"{stem}.{part}.weight"] = numbers.bfloat16()
            tensors[f"{stem}.alpha"] = torch.tensor(rank / 2)
        save_file(tensors, folder / "loras" / f"r{rank}.safetensors")


def sigma() -> Tensor:
    return torch.tensor([0.5], dtype=torch.bfloat16)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Image tokens, the states of T5 and the pooled one of CLIP."""
    generator = torch.Generator().manual_seed(3)
    sizes = ((1, IMAGE_TOKENS, 64), (1, TEXT_TOKENS, 4096), (1, 768))
    x, context, vector = (torch.randn(size, generator=generator).bfloat16() for size in sizes)
    return x, context, vector


class TransformerAlone:
    """What adapters ask of a loaded model."""

    def __init__(self, info: Any, network: nn.Module, layers: dict[str, LayerTarget]) -> None:
        self.info, self.networks, self._layers = info, {"transformer": network}, layers

    def layer_names(self, part: str) -> dict[str, LayerTarget]:
        return self._layers


class OurRunner:
    """A transformer of ours without the rest of its model."""

    def __init__(self, folder: Path, how: str) -> None:
        from sfumato.file_hashes import FileHashes
        from sfumato.library import ModelLibrary
        from sfumato.registries import Registries
        from sfumato.tasks import TaskContext
        from sfumato_adapters.lora import LoraKind
        from sfumato_adapters.settings import AdapterSettings
        from sfumato_models_flux.detection import detect
        from sfumato_networks import plugin
        from sfumato_networks.clip_text import own_layers
        from sfumato_networks.formats import SafetensorsFormat

        registries = Registries()
        registrar = registries.weight_formats.registrar("networks")
        plugin.register_weight_formats(registrar)
        registrar.commit()
        library = ModelLibrary([folder], registries, FileHashes(folder / "hashes.json"))
        settings = SimpleNamespace(adapters=AdapterSettings(how=how))  # type: ignore[arg-type]
        self.context = TaskContext(registries, library, settings, folder)
        network: Any = our_loader(folder)()
        info = detect(SafetensorsFormat().read_header(folder / CHECKPOINT))
        self.model: Any = TransformerAlone(info, network, own_layers(network))
        self.kind, self.network = LoraKind(), network

    def apply(self, weights: tuple[float, ...]) -> None:
        from sfumato.adapters import AdapterUse

        uses = [
            AdapterUse("lora", f"r{rank}", (str(weight),))
            for rank, weight in zip(RANKS, weights, strict=True)
        ]
        self.kind.apply(self.model, uses, self.context)

    change = apply

    def step(self) -> Tensor:
        from sfumato_models_flux.transformer import image_positions

        x, context, vector = inputs()
        side = 2 * int(IMAGE_TOKENS**0.5)
        text = torch.zeros(TEXT_TOKENS, 3, dtype=torch.int64)
        rotary = self.network.rotary(image_positions(side, side), text)
        out: Tensor = self.network(x, sigma(), context, vector, rotary)
        return out


class PeerRunner:
    """Diffusers' transformer in a pipeline without the rest of its parts."""

    def __init__(self, folder: Path, fused: bool) -> None:
        from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

        network: nn.Module = peer_loader(folder)()
        parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
        scheduler = FlowMatchEulerDiscreteScheduler()
        self.pipeline: Any = FluxPipeline(scheduler=scheduler, transformer=network, **parts)
        self.folder, self.fused, self.network = folder, fused, network
        self.names = [f"r{rank}" for rank in RANKS]

    def apply(self, weights: tuple[float, ...]) -> None:
        for name in self.names:
            file = self.folder / "loras" / f"{name}.safetensors"
            self.pipeline.load_lora_weights(str(file), adapter_name=name)
        self._set(weights)

    def change(self, weights: tuple[float, ...]) -> None:
        if self.fused:
            self.pipeline.unfuse_lora()
        self._set(weights)

    def _set(self, weights: tuple[float, ...]) -> None:
        self.pipeline.set_adapters(self.names, list(weights))
        if self.fused:
            self.pipeline.fuse_lora(adapter_names=self.names)

    def step(self) -> Tensor:
        x, context, vector = inputs()
        side = int(IMAGE_TOKENS**0.5)
        ids = torch.zeros(IMAGE_TOKENS, 3)
        ids[:, 1], ids[:, 2] = torch.arange(IMAGE_TOKENS) // side, torch.arange(IMAGE_TOKENS) % side
        out: Tensor = self.network(
            hidden_states=x,
            timestep=sigma(),
            pooled_projections=vector,
            encoder_hidden_states=context,
            txt_ids=torch.zeros(TEXT_TOKENS, 3),
            img_ids=ids,
            return_dict=False,
        )[0]
        return out


class ComfyUIRunner:
    """ComfyUI's transformer, from a checkout."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        from benchmarks.comfyui_models import ComfyUIFlux

        loras = [folder / "loras" / f"r{rank}.safetensors" for rank in RANKS]
        self._flux = ComfyUIFlux(folder / CHECKPOINT, CONFIG, loras, checkout)
        self.apply = self.change = self._flux.apply

    def step(self) -> Tensor:
        x, context, vector = inputs()
        return self._flux.velocity(x, sigma(), context, vector)


RUNNERS: dict[str, Callable[[Path], Any]] = {
    MERGED: lambda folder: OurRunner(folder, "merge"),
    ON_THE_FLY: lambda folder: OurRunner(folder, "on_the_fly"),
    FUSED: lambda folder: PeerRunner(folder, fused=True),
    BESIDE: lambda folder: PeerRunner(folder, fused=False),
}


def measure(name: str, folder: Path, comfyui: Path | None) -> None:
    """In a process of its own; the figures go to stdout as JSON, the outputs to a file."""
    runner = ComfyUIRunner(folder, comfyui) if comfyui else RUNNERS[name](folder)
    outputs = [runner.step()]
    plain = [time_call(runner.step) for _ in range(FORWARDS)]
    apply = time_call(lambda: runner.apply(WEIGHTS))
    outputs.append(runner.step())
    with_loras = [time_call(runner.step) for _ in range(FORWARDS)]
    change = time_call(lambda: runner.change(CHANGED))
    torch.save(torch.stack(outputs), folder / f"{name}.pt")
    found = {
        "apply": asdict(apply),
        "change": asdict(change),
        "plain": statistics.median(timing.cpu for timing in plain),
        "with": statistics.median(timing.cpu for timing in with_loras),
    }
    print(json.dumps(found))


def measured_apart(name: str, folder: Path, threads: int, comfyui: Path | None) -> dict[str, Any]:
    module = [sys.executable, "-m", "benchmarks.lora"]
    command = [*module, "--measure", name, "--folder", str(folder), "--threads", str(threads)]
    command += ["--comfyui", str(comfyui)] if name == COMFYUI else []
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def differences(folder: Path, names: Iterable[str]) -> dict[str, float]:
    """How far each runner's change of the output is from the peer's, by name."""
    outputs = {name: torch.load(folder / f"{name}.pt", weights_only=True).float() for name in names}
    expected = outputs[FUSED][1] - outputs[FUSED][0]
    return {
        name: float(((found[1] - found[0]) - expected).norm() / expected.norm())
        for name, found in outputs.items()
    }


def compare(folder: Path, rounds: int, threads: int, comfyui: Path | None) -> None:
    write_checkpoint(folder, CONFIG)
    write_loras(folder, CONFIG)
    names = [*RUNNERS, COMFYUI] if comfyui else [*RUNNERS]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, found in runs.items():
            found.append(measured_apart(name, folder, threads, comfyui))
    setting: dict[str, Cell] = {
        "LoRAs": "ranks " + ", ".join(map(str, RANKS)),
        "tokens": f"{IMAGE_TOKENS} + {TEXT_TOKENS}",
        "dtype": "bfloat16",
        "rounds": rounds,
        "threads": threads,
    }
    aim = (
        "merged: apply 0.15 and change 0.1 of diffusers fused; on the fly: a step 1.1 of a plain one at most"
    )
    report = Report("lora", "Three LoRAs on a Flux transformer", aim, setting)
    add_rows(report, runs, differences(folder, runs))
    report.finish()


def add_rows(report: Report, runs: dict[str, list[dict[str, Any]]], apart: dict[str, float]) -> None:
    for case, key in (("apply", "apply"), ("change one weight", "change")):
        timings = {
            name: Timing(*(statistics.median(run[key][clock] for run in found) for clock in ("cpu", "wall")))
            for name, found in runs.items()
        }
        report.add(case, timings, peer=FUSED)
    for name, found in runs.items():
        plain, changed = (statistics.median(run[key] for run in found) for key in ("plain", "with"))
        ratio = statistics.median(run["with"] / run["plain"] for run in found)
        report.rows.append(
            {
                "case": "a step",
                "runner": name,
                "CPU s": round(changed, 4),
                "plain CPU s": round(plain, 4),
                "plain = 1": round(ratio, 3),
                "change off by": round(apart[name], 4),
            }
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="a checkout of ComfyUI, measured too")
    parser.add_argument("--measure", choices=(*RUNNERS, COMFYUI), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder by default")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure:
        with torch.no_grad():
            return measure(options.measure, options.folder, options.comfyui)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), options.rounds, options.threads, options.comfyui)


if __name__ == "__main__":
    main()
