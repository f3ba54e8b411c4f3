"""Stages of plugins in the way of a picture: those that a request names, called at their points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato.errors import PluginError, SfumatoError
from sfumato.registry import Entry
from sfumato.request import GenerationRequest
from sfumato.stages import Point, StageContext, StageInfo

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.sampling import Denoise


@dataclass(frozen=True)
class NamedStage:
    """A stage that a request names, with all its options, checked."""

    entry: Entry[StageInfo]
    options: Mapping[str, Any]


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
        return self._pass("prompt", text, (), lambda result: isinstance(result, str))

    def denoise(self, denoise: Denoise, seeds: Sequence[int]) -> Denoise:
        """The guided model with the stages at "denoise" around it, the first by name innermost."""
        return self._pass("denoise", denoise, seeds, callable)

    def latents(self, latents: Tensor, seeds: Sequence[int]) -> Tensor:
        """Clean latents [b, c, h, w] of a batch, of the shape they came in."""
        shape = latents.shape
        return self._pass("latents", latents, seeds, lambda result: getattr(result, "shape", None) == shape)

    def picture(self, pixels: Tensor, seed: int) -> Tensor:
        """One picture, uint8 [h, w, 3] on the CPU; a stage may change its size."""
        return self._pass("picture", pixels, (seed,), is_picture)

    def _pass(self, at: Point, value: Any, seeds: Sequence[int], is_right: Callable[[Any], bool]) -> Any:
        for stage in self.named:
            if stage.entry.info.at != at:
                continue
            context = StageContext(self.request, stage.options, tuple(seeds))
            with blamed(stage.entry):
                value = stage.entry.load()(value, context)
            if not is_right(value):
                raise _failure(stage.entry, f"It gave back {described(value)}, which is no {at}.")
        return value


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


@contextmanager
def blamed(entry: Entry[StageInfo]) -> Iterator[None]:
    """Names the stage in whatever goes wrong within."""
    try:
        yield
    except SfumatoError:
        raise
    except Exception as error:
        raise _failure(entry, f"{type(error).__name__}: {error}.") from error


def _failure(entry: Entry[StageInfo], why: str) -> PluginError:
    return PluginError(
        f"The stage '{entry.info.label}' failed.",
        why=why,
        hint=f"Leave it out, or tell the author of the plugin '{entry.plugin}'.",
    )
