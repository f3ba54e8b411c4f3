"""Health checks for `sfumato doctor`: a plugin can tell what would stop a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sfumato.studio import Studio


class CheckInfo(BaseModel):
    """A health check as registered."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()


class CheckResult(BaseModel):
    """One finding. `hint` says what to do when the state is not 'ok'."""

    model_config = ConfigDict(frozen=True)

    label: str
    state: Literal["ok", "warning", "problem"] = "ok"
    detail: str = ""
    hint: str = Field(default="", description="What to do about it.")


class Check(Protocol):
    """Looks at one aspect of the installation, within `plugins.patience`; raising is a problem found."""

    def __call__(self, studio: Studio) -> list[CheckResult]: ...
