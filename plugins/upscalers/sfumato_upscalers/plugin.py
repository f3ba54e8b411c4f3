"""The face of the plugin upscalers to the kernel."""

from __future__ import annotations

from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo
from sfumato.tasks import TaskInfo
from sfumato.upscaling import UpscalerInfo

SFUMATO_API = "1.0"

RESAMPLERS = {
    "lanczos": ("Lanczos", "Sharp, without inventing anything."),
    "bicubic": ("Bicubic", "Softer than Lanczos, with less ringing."),
    "bilinear": ("Bilinear", "Soft, and never rings."),
    "nearest": ("Nearest", "Repeats pixels: for pixel art."),
    "none": ("None", "Extras keep the picture as it is; hires fix enlarges by Lanczos."),
}
LATENT_MODES = {
    "latent": ("Latent", "Bilinear on latents; wants a denoising strength of 0.5 and more."),
    "latent_antialiased": ("Latent (antialiased)", "Bilinear on latents, antialiased where it shrinks."),
    "latent_bicubic": ("Latent (bicubic)", "Bicubic on latents."),
    "latent_bicubic_antialiased": (
        "Latent (bicubic antialiased)",
        "Bicubic on latents, antialiased where it shrinks.",
    ),
    "latent_nearest": ("Latent (nearest)", "Repeats latents."),
    "latent_nearest_exact": ("Latent (nearest-exact)", "Repeats latents, centred."),
}
FILE_ALIASES = {
    "R-ESRGAN 4x+": ("RealESRGAN_x4plus",),
    "R-ESRGAN 4x+ Anime6B": ("RealESRGAN_x4plus_anime_6B",),
    "R-ESRGAN 2x+": ("RealESRGAN_x2plus",),
    "R-ESRGAN General 4xV3": ("realesr-general-x4v3",),
    "R-ESRGAN General WDN 4xV3": ("realesr-general-wdn-x4v3",),
    "R-ESRGAN AnimeVideo": ("realesr-animevideov3",),
    "ESRGAN_4x": ("ESRGAN", "ESRGAN_4x"),
    "SwinIR 4x": ("SwinIR_4x", "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN"),
    "ScuNET GAN": ("ScuNET", "scunet_color_real_gan"),
    "ScuNET PSNR": ("ScuNET_PSNR", "scunet_color_real_psnr"),
    "DAT x2": ("DAT_x2",),
    "DAT x3": ("DAT_x3",),
    "DAT x4": ("DAT_x4",),
    "HAT 4x": ("HAT-4x", "Real_HAT_GAN_SRx4"),
}
"""What A1111 and Forge call the files that they download."""


@hookimpl
def register_upscalers(upscalers: Registrar[UpscalerInfo]) -> None:
    for name, (label, summary) in RESAMPLERS.items():
        upscalers.add(name, f"sfumato_upscalers.resampling:{name}", label=label, summary=summary)
    for name, (label, summary) in LATENT_MODES.items():
        target = f"sfumato_upscalers.latents:{name}"
        upscalers.add(name, target, label=label, summary=summary, works_on="latents")
    upscalers.add(
        "spandrel",
        "sfumato_upscalers.network_upscaler:upscale",
        label="Upscaler models",
        summary="Files in upscale_models, of any architecture that spandrel knows.",
        files="upscale_models",
        file_aliases=FILE_ALIASES,
    )


@hookimpl
def register_tasks(tasks: Registrar[TaskInfo]) -> None:
    tasks.add(
        "upscale",
        "sfumato_upscalers.extras:upscale",
        label="Upscale",
        summary="Pictures enlarged and mended, without a diffusion model.",
        request="sfumato.request:UpscaleRequest",
    )


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    commands.add(
        "upscale",
        "sfumato_upscalers.commands:upscale",
        label="Upscale",
        summary="Enlarge pictures, and mend faces in them.",
    )
    commands.add(
        "upscalers",
        "sfumato_upscalers.commands:list_upscalers",
        label="Upscalers",
        summary="List the upscalers and face restorers.",
    )


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("upscalers", "sfumato_upscalers.settings:UpscalerSettings", label="Upscalers")
