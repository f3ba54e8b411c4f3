"""The SD3 family as the kernel drives it. Imports no torch until a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, LoadedModel, ModelInfo, Placement
from sfumato_models_sd.sd3 import detection
from sfumato_models_sd.sd3.options import Sd3Options

if TYPE_CHECKING:
    from pydantic import BaseModel


class Sd3Family:
    """Stable Diffusion 3 and 3.5, and models of their layout of any size; a `sfumato.models.ModelFamily`."""

    options: type[BaseModel] = Sd3Options

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        """See `sfumato_models_sd.sd3.detection.detect`."""
        return detection.detect(header)

    def load(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> LoadedModel:
        """Build the model from mapped weights.

        Raises:
            MissingPart: the autoencoder, a tokenizer or all text encoders were not found; says what to get.
            CheckpointError: the weights do not fit.
        """
        from sfumato_models_sd.sd3.loading import load

        return load(info, library, placement)
