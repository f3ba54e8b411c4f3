"""Prompts to conditioning: states and pooled states of two CLIPs and T5, any of which may be absent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.models import PromptText
from sfumato_networks.clip_prompts import ClipPrompts, ClipStates
from sfumato_networks.parts import CLIP_G_TEXT, CLIP_TEXT, T5_ENCODER
from sfumato_networks.t5_prompts import T5Prompts, T5States

CLIP_LENGTH = 77
"""Tokens of CLIP's states where there is no CLIP."""
PENULTIMATE = 2
"""The layer of CLIP that SD3 was trained on, from the end."""


@dataclass(frozen=True)
class Sd3Conditioning:
    """One encoded prompt: ``context`` [1, m, context_size] and ``vector`` [1, vector_size].

    m is 77 for each window that CLIP reads at once, and T5's length for each chunk. `notes` are for the user.
    """

    context: Tensor
    vector: Tensor
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptEncoder:
    """The text side of an SD3 model.

    The states of both CLIPs stand side by side, filled up with zeros to the width of T5's, which follow. The
    vector is made of both CLIPs' pooled states. Each of the three was left out of the training at random, and
    then its states were zero: so they are for one that is not there, which the notes tell.

    Attributes:
        clip_widths: Features of CLIP-L and of CLIP-G.
        context_size: Features of T5.
        device: Where the states go.
    """

    clip_l: ClipPrompts | None
    clip_g: ClipPrompts | None
    t5: T5Prompts | None
    clip_widths: tuple[int, int]
    context_size: int
    device: str

    def encode(self, text: PromptText, t5_length: int) -> Sd3Conditioning:
        """Run all encoders on one prompt, T5 on ``t5_length`` tokens a chunk."""
        first, second = (
            self._clip_states(clip, width, text)
            for clip, width in zip((self.clip_l, self.clip_g), self.clip_widths, strict=True)
        )
        t5 = self._t5_states(text, t5_length)
        clip = torch.cat(_equally_long(first.states, second.states), dim=-1)
        clip = F.pad(clip, (0, self.context_size - clip.shape[-1]))
        notes = dict.fromkeys((*self.missing, *first.notes, *second.notes, *t5.notes))
        return Sd3Conditioning(
            context=torch.cat((clip, t5.states.to(clip.dtype)), dim=1),
            vector=torch.cat((first.pooled, second.pooled.to(first.pooled.dtype)), dim=-1),
            notes=tuple(notes),
        )

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The encoders that are there by kind of part, in the order that adapters number them."""
        found: dict[str, nn.Module] = {}
        for kind, clip in ((CLIP_TEXT, self.clip_l), (CLIP_G_TEXT, self.clip_g)):
            if clip is not None:
                found[kind] = clip.clip
        if self.t5 is not None:
            found[T5_ENCODER] = self.t5.t5
        return found

    @property
    def missing(self) -> tuple[str, ...]:
        """What to tell of the encoders that are not there."""
        encoders = {"CLIP-L": self.clip_l, "CLIP-G": self.clip_g, "T5": self.t5}
        absent = [name for name, encoder in encoders.items() if encoder is None]
        if not absent:
            return ()
        them = "text encoder was" if len(absent) == 1 else "text encoders were"
        return (f"The {them} not found: {', '.join(absent)}. The picture follows the prompt less closely.",)

    def _clip_states(self, clip: ClipPrompts | None, width: int, text: PromptText) -> ClipStates:
        if clip is not None:
            return clip.encode(text, normed=False, layer_from_end=PENULTIMATE)
        states = torch.zeros(1, CLIP_LENGTH, width, device=self.device)
        return ClipStates(states, torch.zeros(1, width, device=self.device))

    def _t5_states(self, text: PromptText, length: int) -> T5States:
        if self.t5 is not None:
            return self.t5.encode(text, length)
        shape = 1, length * len(text.chunks), self.context_size
        return T5States(torch.zeros(shape, device=self.device))


def _equally_long(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """States [1, n, width], zeros added to the shorter: learned words may take more places in one CLIP."""
    n = max(first.shape[1], second.shape[1])
    first, second = (F.pad(states, (0, 0, 0, n - states.shape[1])) for states in (first, second))
    return first, second.to(first.dtype)
