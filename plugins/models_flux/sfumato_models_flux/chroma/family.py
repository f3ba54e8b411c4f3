"""The Chroma family as the kernel drives it. Imports no torch until a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, LoadedModel, ModelInfo, Placement
from sfumato_models_flux.chroma import detection
from sfumato_models_flux.chroma.options import ChromaOptions

if TYPE_CHECKING:
    from pydantic import BaseModel


class ChromaFamily:
    """Chroma1 HD, Base, Flash and models of their layout; fulfils `sfumato.models.ModelFamily`."""

    options: type[BaseModel] = ChromaOptions

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        """See `sfumato_models_flux.chroma.detection.detect`."""
        return detection.detect(header)

    def load(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> LoadedModel:
        """Build the model from mapped weights.

        Raises:
            MissingPart: the text encoder, its tokenizer or the autoencoder was not found; says what to get.
            CheckpointError: the weights do not fit.
        """
        from sfumato_models_flux.chroma.loading import load

        return load(info, library, placement)
