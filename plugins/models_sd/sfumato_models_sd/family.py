"""The UNet families as the kernel drives them. Imports no torch until a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, LoadedModel, ModelInfo, Placement
from sfumato_models_sd import detection
from sfumato_models_sd.options import SdOptions

if TYPE_CHECKING:
    from pydantic import BaseModel


class SdFamily:
    """Stable Diffusion 1.x, 2.x, XL and its refiner; fulfils `sfumato.models.ModelFamily`."""

    options: type[BaseModel] = SdOptions

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        """See `sfumato_models_sd.detection.detect`."""
        return detection.detect(header)

    def load(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> LoadedModel:
        """Build the model from mapped weights.

        Raises:
            MissingPart: a text encoder or the autoencoder was not found; says what to get.
            CheckpointError: the weights do not fit.
        """
        from sfumato_models_sd.loading import load

        return load(info, library, placement)
