"""One reload, phase by phase, in the process that calls: a checkpoint's, a LoRA's, a learned word's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.reload_models import SIZES, library_of_all, write_word
from sfumato.adapters import AdapterUse
from sfumato.models import Placement, PromptText
from sfumato.tasks import TaskContext
from sfumato_networks.stored.tensor import stored_form
from sfumato_networks.stored.transfer import Arriving, Transfer

LOADING = ("open", "read", "build", "convert", "place")
PHASES = (*LOADING, "encode", "first step")
PAGE = 4096
PROMPT = "The blue one"
LATENTS = (1, 4, 32, 32)


@dataclass
class Clock:
    """Seconds of wall and CPU time by phase."""

    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu

    def move(self, inner: str, outer: str) -> None:
        """What was timed inside of another phase is not of that one."""
        for times in (self.wall, self.cpu):
            times[outer] -= times.setdefault(inner, 0.0)


class TimedTransfer:
    """Brings weights to the device by the usual way, on the clock's phase 'place'."""

    def __init__(self, inner: Transfer, clock: Clock) -> None:
        self._inner, self._clock = inner, clock
        self.is_ahead = False

    def fetch(self, weight: Any) -> Arriving:
        with self._clock.phase("place"):
            found = self._inner.fetch(weight).wait()
        return SimpleNamespace(wait=lambda: found)


class OurModel:
    """A model of ours, loaded phase by phase.

    Args:
        path: The checkpoint, in a model folder of its own.
        dtype: What is computed in; "auto" as studios do.
    """

    def __init__(self, path: Path, dtype: str) -> None:
        # Imports are not what is measured.
        import sfumato_models_sd.loading  # noqa: F401
        import sfumato_quant_gguf.mapped_tensors  # noqa: F401
        from sfumato_models_sd.family import SdFamily

        self._path, self._dtype, self._family = path, dtype, SdFamily()
        self.root = path.parent.parent
        self.model: Any = None

    def load(self, clock: Clock) -> None:
        with clock.phase("open"):
            library = library_of_all(self.root)
            info = self._family.detect(library.header(self._path))
            assert info is not None
            opened = library.open_tensors(self._path)
        with clock.phase("read"):
            touch(opened.values())
        with clock.phase("build"):
            placement = Placement(device="cpu", dtype=self._dtype, deferred=True)
            self.model = self._family.load(info, library, placement)
        place(self.model.networks.values(), clock)

    def draw(self, clock: Clock) -> None:
        with torch.inference_mode():
            with clock.phase("encode"):
                prompt = self.model.condition(PromptText((((PROMPT, 1.0),),)), {})
            with clock.phase("first step"):
                self.model.denoise(latents(), 5.0, [prompt], {})


def place(networks: Iterable[nn.Module], clock: Clock) -> None:
    """Make all weights resident: conversions are 'convert', moving them to the device 'place'."""
    from sfumato_networks.stored.placing import placed_weights
    from sfumato_networks.stored.transfer import transfer_to

    with clock.phase("convert"):
        for network in networks:
            if placed := placed_weights(network):
                placed.through(TimedTransfer(transfer_to("cpu"), clock))
                placed.place(1 << 62)
    clock.move("place", "convert")


class OurAdapters:
    """LoRAs and learned words on a loaded model."""

    def __init__(self, loaded: OurModel, how: str) -> None:
        from sfumato_adapters.embedding import EmbeddingKind
        from sfumato_adapters.lora import LoraKind
        from sfumato_adapters.settings import AdapterSettings

        library = library_of_all(loaded.root)
        settings = SimpleNamespace(adapters=AdapterSettings(how=how))  # type: ignore[arg-type]
        self._context = TaskContext(library._registries, library, settings, loaded.root)
        self._loaded, self._loras, self._words = loaded, LoraKind(), EmbeddingKind()

    def put(self, name: str, clock: Clock, strength: float = 0.8) -> None:
        """One LoRA in force: reading and matching are 'open', merging or branching 'convert'."""
        from sfumato_adapters.acting import ActingAdapters

        uses = [AdapterUse("lora", name, (str(strength),))] if name else []
        with clock.phase("open"), timed_method(ActingAdapters, "act", clock, "convert"):
            self._loras.apply(self._loaded.model, uses, self._context)
        clock.move("convert", "open")

    def read_word(self, clock: Clock) -> None:
        """The prompt with a learned word whose file has changed."""
        model = self._loaded.model
        with torch.inference_mode():
            with clock.phase("open"):
                words = self._words.embeddings(model, "a smile", self._context)
            with clock.phase("encode"):
                text = PromptText(((("a smile", 1.0),),), embeddings=tuple(words))
                prompt = model.condition(text, {})
            with clock.phase("first step"):
                model.denoise(latents(), 5.0, [prompt], {})


@contextmanager
def timed_method(owner: type, name: str, clock: Clock, phase: str) -> Iterator[None]:
    """All calls of a method are that phase's."""
    plain = getattr(owner, name)

    def timed(*args: Any, **options: Any) -> Any:
        with clock.phase(phase):
            return plain(*args, **options)

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, plain)


def touch(tensors: Iterable[Tensor]) -> None:
    """Read one byte of every page."""
    for tensor in tensors:
        for stored in stored_form(tensor).tensors:
            if stored.numel():
                stored.view(-1).view(torch.uint8)[::PAGE].sum()


def latents() -> Tensor:
    return torch.randn(LATENTS, generator=torch.Generator().manual_seed(0))


class PeerModel:
    """Diffusers' pipeline; its loading is one phase, called 'build'."""

    def __init__(self, path: Path, dtype: str, configs: Path) -> None:
        import diffusers

        self._path, self._dtype, self._configs = path, getattr(torch, dtype), configs
        self._diffusers: Any = diffusers
        self.pipeline: Any = None

    def load(self, clock: Clock) -> None:
        with clock.phase("build"):
            self.pipeline = self._pipeline()

    def _pipeline(self) -> Any:
        name = self._diffusers.StableDiffusionPipeline
        options = {"torch_dtype": self._dtype, "safety_checker": None}
        if self._path.is_dir():
            return name.from_pretrained(str(self._path), **options)
        if self._path.suffix == ".gguf":
            unet = self._diffusers.UNet2DConditionModel.from_single_file(
                str(self._path),
                config=str(self._configs / "unet"),
                quantization_config=self._diffusers.GGUFQuantizationConfig(compute_dtype=self._dtype),
                torch_dtype=self._dtype,
            )
            return SimpleNamespace(unet=unet)
        return name.from_single_file(str(self._path), config=str(self._configs), **options)

    def draw(self, clock: Clock) -> None:
        with torch.inference_mode():
            with clock.phase("encode"):
                text = self._encoded(PROMPT)
            self._step(text, clock)

    def _step(self, text: Tensor, clock: Clock) -> None:
        with torch.inference_mode(), clock.phase("first step"):
            self.pipeline.unet(latents().to(self._dtype), 500, text, return_dict=False)

    def _encoded(self, prompt: str) -> Tensor:
        if not hasattr(self.pipeline, "encode_prompt"):
            width = self.pipeline.unet.config.cross_attention_dim
            return torch.zeros(1, 77, width, dtype=self._dtype)
        found: Tensor = self.pipeline.encode_prompt(prompt, torch.device("cpu"), 1, False)[0]
        return found

    def put(self, file: Path, clock: Clock) -> None:
        """One LoRA beside the layers, in place of the one before."""
        with clock.phase("open"):
            self.pipeline.unload_lora_weights()
            self.pipeline.load_lora_weights(str(file), adapter_name="one")
        with clock.phase("convert"):
            self.pipeline.set_adapters(["one"], [0.8])

    def read_word(self, file: Path, clock: Clock) -> None:
        with clock.phase("open"):
            if "smile" in self.pipeline.tokenizer.get_added_vocab():
                self.pipeline.unload_textual_inversion()
            self.pipeline.load_textual_inversion(str(file), token="smile")
        with torch.inference_mode():
            with clock.phase("encode"):
                text = self._encoded(self.pipeline.maybe_convert_prompt("a smile", self.pipeline.tokenizer))
            self._step(text, clock)


def repeated(work: Callable[[Clock], None], rounds: int) -> list[Clock]:
    """Clocks of that many runs."""
    clocks = [Clock() for _ in range(rounds)]
    for clock in clocks:
        work(clock)
    return clocks


def edited_word(size: str, root: Path, seed: int) -> Path:
    """The learned word, written anew."""
    return write_word(SIZES[size], root, seed)
