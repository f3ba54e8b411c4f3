"""Lists of what there is: models, LoRAs, embeddings, upscalers, styles, scripts ..."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import SfumatoError
from sfumato.library import ModelLibrary
from sfumato.upscaling import all_upscalers
from sfumato_api_a1111 import samplers as sampler_lists
from sfumato_api_a1111 import scripts as script_lists
from sfumato_api_a1111.checkpoints import all_checkpoints
from sfumato_api_a1111.errors import json_response
from sfumato_api_a1111.state import current_api

if TYPE_CHECKING:
    from flask import Response

    from sfumato.studio import Studio

_FIRST_UPSCALERS = ("None", "Lanczos", "Nearest")
_NETWORK_SCALE = 4
"""What A1111 tells for files whose factor nobody has read yet."""
_PLAIN_SCALE = 1
_REAL_ESRGAN = "R-ESRGAN"
_MODULES = ("vae", "text_encoders")


def _studio() -> Studio:
    return current_api().studio


def samplers() -> Response:
    return json_response(sampler_lists.list_samplers(_studio().registries))


def schedulers() -> Response:
    return json_response(sampler_lists.list_schedulers(_studio().registries))


def scripts() -> Response:
    return json_response(script_lists.script_names())


def script_info() -> Response:
    return json_response(script_lists.script_info())


def upscalers() -> Response:
    studio = _studio()
    found = [
        {
            "name": upscaler.label,
            "model_name": upscaler.path.stem if upscaler.path else None,
            "model_path": str(upscaler.path) if upscaler.path else None,
            "model_url": None,
            "scale": _NETWORK_SCALE if upscaler.path else _PLAIN_SCALE,
        }
        for upscaler in all_upscalers(studio.registries, studio.library)
        if upscaler.entry.info.works_on == "pixels"
    ]
    return json_response(sorted(found, key=_place_of_upscaler))


def _place_of_upscaler(listed: dict[str, Any]) -> tuple[int, str]:
    name = listed["name"]
    first = name in _FIRST_UPSCALERS
    return (_FIRST_UPSCALERS.index(name) if first else len(_FIRST_UPSCALERS), name)


def latent_upscale_modes() -> Response:
    entries = [entry.info for entry in _studio().registries.upscalers if entry.info.works_on == "latents"]
    return json_response([{"name": info.label} for info in entries])


def realesrgan_models() -> Response:
    studio = _studio()
    return json_response(
        [
            {"name": upscaler.label, "path": str(upscaler.path), "scale": _NETWORK_SCALE}
            for upscaler in all_upscalers(studio.registries, studio.library)
            if upscaler.path and upscaler.label.startswith(_REAL_ESRGAN)
        ]
    )


def sd_models() -> Response:
    studio = _studio()
    return json_response([found.listed() for found in all_checkpoints(studio.library, studio.registries)])


def sd_vae() -> Response:
    return json_response([_file(path) for path in _studio().library.files("vae")])


def sd_modules() -> Response:
    library = _studio().library
    return json_response([_file(path) for kind in _MODULES for path in library.files(kind)])


def _file(path: Path) -> dict[str, str]:
    return {"model_name": path.name, "filename": str(path)}


def loras() -> Response:
    library = _studio().library
    return json_response([_lora(path, library) for path in library.files("loras")])


def _lora(path: Path, library: ModelLibrary) -> dict[str, Any]:
    metadata = _header_metadata(path, library)
    return {
        "name": path.stem,
        "alias": metadata.get("ss_output_name") or path.stem,
        "path": str(path),
        "metadata": {key: _parsed(value) for key, value in metadata.items()},
    }


def _header_metadata(path: Path, library: ModelLibrary) -> dict[str, str]:
    try:
        return dict(library.header(path).metadata)
    except (SfumatoError, OSError):
        return {}


def _parsed(text: str) -> Any:
    """Values of a safetensors header are texts; those of trainers hold JSON."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def embeddings() -> Response:
    library = _studio().library
    found = {path.stem: _embedding(path, library) for path in library.files("embeddings")}
    loaded = {name: told for name, told in found.items() if told["shape"]}
    skipped = {name: told for name, told in found.items() if not told["shape"]}
    return json_response({"loaded": loaded, "skipped": skipped})


def _embedding(path: Path, library: ModelLibrary) -> dict[str, Any]:
    """Width and number of its vectors, the first text encoder's where there are several."""
    try:
        shapes = list(library.header(path).shapes.values())
    except (SfumatoError, OSError):
        shapes = []
    shape = next((shape for shape in shapes if shape), ())
    return {
        "step": None,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
        "shape": shape[-1] if shape else 0,
        "vectors": shape[0] if len(shape) > 1 else 1 if shape else 0,
    }


def hypernetworks() -> Response:
    return json_response([])


def face_restorers() -> Response:
    entries = _studio().registries.face_restorers
    return json_response([{"name": entry.info.label, "cmd_dir": None} for entry in entries])


def prompt_styles() -> Response:
    from sfumato_pictures.styles import style_book

    return json_response(
        [
            {"name": style.name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
            for style in style_book(_studio().settings.saving)
        ]
    )


def extensions() -> Response:
    return json_response([])


def command_line_flags() -> Response:
    text = resources.files(__package__).joinpath("command_line_flags.json").read_text("utf-8")
    return json_response(json.loads(text))
