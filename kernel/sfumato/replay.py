"""Drawing a picture again from what it remembers: what is asked for, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from sfumato.errors import SfumatoError
from sfumato.records import ImageRecord

Verdict = Literal["same", "rounding", "differs", "varied"]


class ReplayRequest(BaseModel):
    """Which picture to draw again, and what to change in its request."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    path: Path
    changes: dict[str, Any] = Field(
        default_factory=dict, description="Request fields by name, or one option: 'sampler_options.eta'."
    )


class Difference(BaseModel):
    """One thing that is not as it was; a side is empty where it was or is nothing."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        line = f"{self.what}: {self.then or 'nothing'} then, {self.now or 'nothing'} now"
        return line.replace("\n", "\\n")


class ReplayReport(BaseModel):
    """The new picture and how it compares to the old one."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    path: Path = Field(description="The picture that was drawn again.")
    record: ImageRecord = Field(description="The new picture; of several, the first.")
    further: tuple[ImageRecord, ...] = Field(default=(), description="The others, if several were asked for.")
    source: Literal["story", "infotext"] = Field(description="Which of the picture's texts was followed.")
    largest_difference: int | None = Field(
        default=None, description="In levels of 255, over all pixels and channels; None if not comparable."
    )
    differing_share: float | None = Field(default=None, description="Share of pixels that differ, 0..1.")
    changes: tuple[Difference, ...] = Field(default=(), description="What the caller changed.")
    differences: tuple[Difference, ...] = Field(default=(), description="What else differs: then and now.")
    not_carried_over: tuple[str, ...] = Field(default=(), description="What could not be followed.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """To the bit the same; but for rounding (one level of 255); different; or changed on purpose."""
        if self.changes:
            return "varied"
        levels: dict[int | None, Verdict] = {0: "same", 1: "rounding"}
        return levels.get(self.largest_difference, "differs")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def same(self) -> bool:
        """Whether the pictures are equal, up to rounding."""
        return self.verdict in ("same", "rounding")


class CannotReplay(SfumatoError):
    """A picture that cannot be drawn again; `differences` tells what is not as it was, as far as known."""

    def __init__(self, what: str, *, differences: Sequence[Difference] = (), **parts: str) -> None:
        super().__init__(what, **parts)
        self.differences = tuple(differences)


class NoStory(CannotReplay):
    """A picture that does not tell how it was made."""

    exit_code = 2
