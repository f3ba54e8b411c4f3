"""Every route below ``/sdapi/v1``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Blueprint

from sfumato_api_a1111 import controls, errors, extras, generation, listings, memory, reading
from sfumato_api_a1111.blueprint import Routes
from sfumato_api_a1111.progress_route import progress, use_shortcut
from sfumato_api_a1111.state import attach

if TYPE_CHECKING:
    from flask import Response

    from sfumato.studio import Studio

View = Callable[[], "Response"]

GET: dict[str, View] = {
    "progress": progress,
    "options": controls.get_options,
    "cmd-flags": listings.command_line_flags,
    "samplers": listings.samplers,
    "schedulers": listings.schedulers,
    "upscalers": listings.upscalers,
    "latent-upscale-modes": listings.latent_upscale_modes,
    "sd-models": listings.sd_models,
    "sd-vae": listings.sd_vae,
    "sd-modules": listings.sd_modules,
    "hypernetworks": listings.hypernetworks,
    "face-restorers": listings.face_restorers,
    "realesrgan-models": listings.realesrgan_models,
    "loras": listings.loras,
    "embeddings": listings.embeddings,
    "prompt-styles": listings.prompt_styles,
    "extensions": listings.extensions,
    "memory": memory.memory,
    "scripts": listings.scripts,
    "script-info": listings.script_info,
}
POST: dict[str, View] = {
    "txt2img": generation.txt2img,
    "img2img": generation.img2img,
    "extra-single-image": extras.extra_single_image,
    "extra-batch-images": extras.extra_batch_images,
    "png-info": reading.png_info,
    "interrogate": reading.interrogate,
    "options": controls.set_options,
    "interrupt": controls.interrupt,
    "skip": controls.skip,
    "refresh-checkpoints": controls.refresh,
    "refresh-vae": controls.refresh,
    "refresh-loras": controls.refresh,
    "refresh-embeddings": controls.refresh,
    "unload-checkpoint": controls.unload_checkpoint,
    "reload-checkpoint": controls.reload_checkpoint,
    "create/embedding": controls.not_yet,
    "create/hypernetwork": controls.not_yet,
    "train/embedding": controls.not_yet,
    "train/hypernetwork": controls.not_yet,
    "merge-checkpoints": controls.not_yet,
    "server-kill": controls.server_kill,
    "server-stop": controls.server_kill,
    "server-restart": controls.server_restart,
}


def build(studio: Studio) -> Blueprint:
    """The blueprint of the API."""
    blueprint = Blueprint("sdapi", __name__)
    attach(blueprint, studio)
    errors.add_to(blueprint)
    routes = Routes(blueprint)
    for path, view in GET.items():
        routes.add(f"/{path}", view, "GET")
    for path, view in POST.items():
        routes.add(f"/{path}", view, "POST")
    routes.close()
    use_shortcut(blueprint)
    return blueprint
