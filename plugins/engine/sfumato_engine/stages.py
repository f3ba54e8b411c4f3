"""Stages of plugins in the way of a picture: those that a request names, called at their points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato.registry import Entry
from sfumato.request import GenerationRequest
from sfumato.stages import Point, StageContext, StageInfo
from sfumato.text import writable
from sfumato_engine.blame import OthersFaults, blamed, failure

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.sampling import Denoise


@dataclass(frozen=True)
class NamedStage:
    """A stage that a request names, with all its options, checked."""

    entry: Entry[StageInfo]
    options: Mapping[str, Any]

    def function(self, request: GenerationRequest, seeds: Sequence[int]) -> Callable[[Any], Any]:
        """The stage as a function of what passes its point."""
        stage, context = self.entry.load(), StageContext(request, self.options, tuple(seeds))
        return lambda value: stage(value, context)


@dataclass(frozen=True)
class Stages:
    """The stages of one request, in name order.

    A stage that raises anything but a `SfumatoError`, or gives back something else than its point carries,
    fails the request with `PluginError`: a picture without it is not the one that was asked for.
    """

    named: Sequence[NamedStage]
    request: GenerationRequest

    def prompt(self, text: str) -> str:
        """The prompt as the stages at "prompt" leave it."""
        return writable(self._pass("prompt", text, (), lambda result: isinstance(result, str)))

    def denoise(self, denoise: Denoise, seeds: Sequence[int]) -> Denoise:
        """The guided model with the stages at "denoise" around it, the first by name innermost."""
        for entry, wrap in self._at("denoise", seeds):
            denoise = _around(entry, denoise, wrap)
        return denoise

    def latents(self, latents: Tensor, seeds: Sequence[int]) -> Tensor:
        """Clean latents [b, c, h, w] of a batch, of the shape and type they came in."""
        return self._pass("latents", latents, seeds, lambda result: is_like(result, latents))

    def picture(self, pixels: Tensor, seed: int) -> Tensor:
        """One picture, uint8 [h, w, 3] on the CPU; a stage may change its size."""
        return self._pass("picture", pixels, (seed,), is_picture)

    def _pass(self, at: Point, value: Any, seeds: Sequence[int], is_right: Callable[[Any], bool]) -> Any:
        for entry, stage in self._at(at, seeds):
            with blamed("stage", entry):
                value = stage(value)
            _check(entry, value, is_right(value), at)
        return value

    def _at(self, at: Point, seeds: Sequence[int]) -> Iterator[tuple[Entry[StageInfo], Callable[[Any], Any]]]:
        for stage in self.named:
            if stage.entry.info.at == at:
                yield stage.entry, stage.function(self.request, seeds)


def _around(entry: Entry[StageInfo], denoise: Denoise, wrap: Callable[[Denoise], Denoise]) -> Denoise:
    """A stage's denoise, blamed for its own faults and not for those of the one within."""
    others = OthersFaults()
    with blamed("stage", entry):
        wrapped = wrap(others.of(denoise))
    _check(entry, wrapped, callable(wrapped), "denoise")

    def checked(x: Tensor, sigma: float) -> Tensor:
        with blamed("stage", entry, but=others):
            denoised = wrapped(x, sigma)
        _check(entry, denoised, is_like(denoised, x), "clean estimate")
        return denoised

    return checked


def is_like(value: Any, tensor: Tensor) -> bool:
    """Whether this is a tensor of the same shape and type."""
    return (getattr(value, "shape", None), getattr(value, "dtype", None)) == (tensor.shape, tensor.dtype)


def is_picture(value: Any) -> bool:
    """Whether this is uint8 [h, w, 3]."""
    import torch

    return (
        isinstance(value, torch.Tensor)
        and value.dtype == torch.uint8
        and value.ndim == 3
        and value.shape[2] == 3
        and value.numel() > 0
    )


def described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}" + (f" {list(shape)}" if shape is not None else "")


def _check(entry: Entry[StageInfo], value: Any, is_right: bool, what: str) -> None:
    if not is_right:
        raise failure("stage", entry, f"It gave back {described(value)}, which is no {what}.")
