"""The Flux family as the kernel drives it. Imports no torch until a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, LoadedModel, ModelInfo, Placement
from sfumato_models_flux import detection
from sfumato_models_flux.options import FluxOptions

if TYPE_CHECKING:
    from pydantic import BaseModel

_NOT_YET = {"control": "it follows a given sketch or depth map"}


class FluxFamily:
    """Flux.1 dev, schnell, Fill, and models of their layout; fulfils `sfumato.models.ModelFamily`."""

    options: type[BaseModel] = FluxOptions

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        """See `sfumato_models_flux.detection.detect`."""
        return detection.detect(header)

    def load(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> LoadedModel:
        """Build the model from mapped weights.

        Raises:
            MissingPart: a text encoder, tokenizer or autoencoder was not found; says what to get.
            CheckpointError: the weights do not fit, or the variant is not supported.
        """
        if info.variant in _NOT_YET:
            raise CheckpointError(
                f"'{info.name}' is Flux.1 {info.variant}, which cannot draw from a prompt alone.",
                why=f"The model needs more than a prompt: {_NOT_YET[info.variant]}.",
                hint="Choose Flux.1 dev or schnell, or a model made from them.",
            )
        from sfumato_models_flux.loading import load

        return load(info, library, placement)
