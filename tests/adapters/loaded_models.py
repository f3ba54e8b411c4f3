"""Tiny models of several families, loaded, for adapters to be read against."""

from __future__ import annotations

from pathlib import Path

from sfumato.models import LoadedModel, Placement
from sfumato_models_flux.family import FluxFamily
from sfumato_models_sd.family import SdFamily
from sfumato_models_sd.sd3.family import Sd3Family

from ..tiny_models import TinyFlux, library_of, sd, sd3, write_all_in_one, write_tokenizers

FLUX = TinyFlux(guidance=True, double_blocks=2)
PLACEMENT = Placement(dtype="float32")


def load_flux(folder: Path) -> LoadedModel:
    write_tokenizers(folder / "tokenizers")
    library = library_of(folder)
    info = library.detect(write_all_in_one(FLUX, folder / "flux.safetensors"))
    return FluxFamily().load(info, library, PLACEMENT)


def load_sd(folder: Path, tiny: sd.TinySD) -> LoadedModel:
    path = sd.write_single_file(tiny, folder, tiny.variant)
    library = library_of(folder)
    info = SdFamily().detect(library.header(path))
    assert info is not None
    return SdFamily().load(info, library, PLACEMENT)


def load_sd3(folder: Path, tiny: sd3.TinySD3) -> LoadedModel:
    path = sd3.write_sd3(tiny, folder / "checkpoints" / "sd3.safetensors")
    sd3.write_sd3_tokenizers(folder / "tokenizers")
    library = library_of(folder)
    info = Sd3Family().detect(library.header(path))
    assert info is not None
    return Sd3Family().load(info, library, PLACEMENT)
