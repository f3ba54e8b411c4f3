"""The family as the kernel drives it. Imports neither torch nor diffusers until a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, LoadedModel, ModelInfo, Placement
from sfumato_models_diffusers import detection
from sfumato_models_diffusers.options import DiffusersOptions

if TYPE_CHECKING:
    from pydantic import BaseModel


class DiffusersFamily:
    """Diffusers folders of all families with a recipe; fulfils `sfumato.models.ModelFamily`."""

    options: type[BaseModel] = DiffusersOptions

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        """See `sfumato_models_diffusers.detection.detect`."""
        return detection.detect(header)

    def load(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> LoadedModel:
        """Have diffusers load the folder.

        Raises:
            SfumatoError: the library diffusers is not installed.
            MissingPart: a part of the folder is not there.
            CheckpointError: its weights do not fit.
        """
        from sfumato_models_diffusers.loading import load

        return load(info, library, placement)
