"""The face of the plugin models_sd to the kernel."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.models import ModelFamilyInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_model_families(families: Registrar[ModelFamilyInfo]) -> None:
    families.add(
        "sd",
        "sfumato_models_sd.family:SdFamily",
        label="Stable Diffusion 1, 2 and XL",
        aliases=("sd15", "sd21", "sdxl"),
        summary="UNets: Stable Diffusion 1.5, 2.1, SDXL and its refiner, also v-prediction and inpainting.",
    )
    families.add(
        "sd3",
        "sfumato_models_sd.sd3.family:Sd3Family",
        label="Stable Diffusion 3",
        aliases=("sd3.5",),
        summary="Rectified-flow transformers: Stable Diffusion 3 and 3.5, medium, large and turbo.",
    )
