"""Plugins named for their own faults, and not for those of what they were given to call."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sfumato.errors import PluginError, SfumatoError
from sfumato.registry import Entry
from sfumato_engine.shortage import is_shortage

Function = TypeVar("Function", bound=Callable[..., Any])


class OthersFaults(list[Exception]):
    """The errors that came out of what a plugin was given."""

    def of(self, function: Function) -> Function:
        """The function, with its errors noted on their way out."""

        def noted(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                self.append(error)
                raise

        return noted  # type: ignore[return-value]


@contextmanager
def blamed(kind: str, entry: Entry[Any], but: Container[Exception] = ()) -> Iterator[None]:
    """Names the entry in whatever goes wrong within, save these errors and a lack of memory.

    Args:
        kind: What the entry is: "sampler", "stage", "trainer".
    """
    try:
        yield
    except SfumatoError:
        raise
    except Exception as error:
        if error in but or is_shortage(error):
            raise
        raise failure(kind, entry, f"{type(error).__name__}: {error}.") from error


def failure(kind: str, entry: Entry[Any], why: str) -> PluginError:
    """The error that names the entry and its plugin."""
    return PluginError(
        f"The {kind} '{entry.info.label}' failed.",
        why=why,
        hint=f"'sfumato -v ...' shows where. Do without it, or tell the author of plugin '{entry.plugin}'.",
    )
