"""A model library as the studio has one, with the formats and families of this repository."""

from __future__ import annotations

from pathlib import Path

from sfumato.file_hashes import FileHashes
from sfumato.library import ModelLibrary
from sfumato.registries import Registries


def library_of(*roots: Path, registries: Registries | None = None) -> ModelLibrary:
    """Looks for models and parts in these folders; ``registries`` may bring more plugins."""
    import sfumato_models_flux.plugin
    import sfumato_networks.plugin

    registries = registries or Registries()
    formats = registries.weight_formats.registrar("networks")
    sfumato_networks.plugin.register_weight_formats(formats)
    formats.commit()
    families = registries.model_families.registrar("models_flux")
    sfumato_models_flux.plugin.register_model_families(families)
    families.commit()
    return ModelLibrary(roots, registries, FileHashes((roots[0] if roots else Path()) / "hashes.json"))
