"""The prompts of a pass, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.adapters import AdapterUse
from sfumato.events import CancelToken
from sfumato_engine.adapters import uses_of
from sfumato_engine.guidance import unconditional_share
from sfumato_engine.prompts import CompiledPrompt, compile_prompt
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.stages import Stages


@dataclass(frozen=True)
class Prompts:
    """The prompts of a pass, compiled.

    Attributes:
        negative: None where guidance never uses it.
        uses: The adapters that the prompt names.
        texts: Both prompts as they are read, for learned words to be looked for.
    """

    positive: CompiledPrompt
    negative: CompiledPrompt | None
    uses: tuple[AdapterUse, ...]
    texts: str

    @classmethod
    def of(cls, resolved: ResolvedRequest, stages: Stages, cancel: CancelToken) -> Prompts:
        request, steps = resolved.request, resolved.steps
        text = stages.prompt(request.prompt)
        positive = compile_prompt(text, steps, emphasis=request.emphasis, check=cancel.check)
        used = unconditional_share([part.weight for part in positive.parts], resolved.cfg_scale)
        negative = None
        negative_text = ""
        if used or request.regions or resolved.sampler.info.needs_unconditional:
            negative_text = stages.prompt(request.negative_prompt)
            negative = compile_prompt(
                negative_text, steps, emphasis=request.emphasis, compose=False, check=cancel.check
            )
        uses = tuple(uses_of(positive.networks, text, hires=resolved.is_hires))
        return cls(positive, negative, uses, f"{text}\n{negative_text}")

    @property
    def count(self) -> int:
        """Model evaluations a picture and step."""
        return len(self.positive.parts) + (self.negative is not None)

    @property
    def warnings(self) -> Sequence[str]:
        """What was written that has an effect that was hardly meant."""
        told = []
        weights = [part.weight for part in self.positive.parts]
        if len(weights) == 1 and weights != [1.0]:
            told.append(
                f"The number at the end of the prompt weighs all of it {weights[0]:g} times. "
                "To have it as text, write something behind it, such as a comma."
            )
        return told
