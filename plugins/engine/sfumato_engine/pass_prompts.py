"""The prompts of a pass, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.adapters import AdapterUse
from sfumato.events import CancelToken
from sfumato_engine.adapters import uses_of
from sfumato_engine.guidance import unconditional_share
from sfumato_engine.prompts import CompiledPrompt, compile_prompt, extra_networks
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.stages import Stages


@dataclass(frozen=True)
class Prompts:
    """The prompts of a pass, compiled.

    Attributes:
        negative: None where guidance never uses it.
        uses: The adapters that the prompt names.
        not_uses: Tags in the negative prompt, where they are words.
        texts: What encoders read of both prompts, for learned words to be looked for.
    """

    positive: CompiledPrompt
    negative: CompiledPrompt | None
    uses: tuple[AdapterUse, ...]
    not_uses: tuple[str, ...]
    texts: str

    @classmethod
    def of(cls, resolved: ResolvedRequest, stages: Stages, cancel: CancelToken) -> Prompts:
        request, steps = resolved.request, resolved.steps
        text = stages.prompt(request.prompt)
        positive = compile_prompt(text, steps, emphasis=request.emphasis, check=cancel.check)
        used = unconditional_share([part.weight for part in positive.parts], resolved.cfg_scale)
        negative = None
        not_uses: tuple[str, ...] = ()
        if used or request.regions or resolved.sampler.info.needs_unconditional:
            without = stages.prompt(request.negative_prompt)
            negative = compile_prompt(
                without, steps, emphasis=request.emphasis, compose=False, check=cancel.check
            )
            not_uses = tuple(without[tag.start : tag.end] for tag in extra_networks(without)[1])
        uses = tuple(uses_of(positive.networks, text, hires=resolved.is_hires))
        texts = [*positive.texts, *(negative.texts if negative else ())]
        return cls(positive, negative, uses, not_uses, "\n".join(dict.fromkeys(texts)))

    @property
    def count(self) -> int:
        """Model evaluations a picture and step."""
        return len(self.positive.parts) + (self.negative is not None)

    @property
    def warnings(self) -> Sequence[str]:
        """What was written that has an effect that was hardly meant."""
        told = [
            f"{tag} has no effect in the negative prompt, where it is read as words: move it to the prompt."
            for tag in self.not_uses
        ]
        weights = [part.weight for part in self.positive.parts]
        if len(weights) == 1 and weights != [1.0]:
            told.append(
                f"The number at the end of the prompt weighs all of it {weights[0]:g} times. "
                "To have it as text, write something behind it, such as a comma."
            )
        return told
