"""The picture, mask and resizing of img2img as our request has them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from sfumato.request import RANDOM_SEED, SEED_LIMIT, GenerationRequest
from sfumato_api_a1111 import overrides
from sfumato_api_a1111.errors import Refusal, failure
from sfumato_api_a1111.generation_fields import Img2ImgFields
from sfumato_api_a1111.pictures_in import content_of, store, stored
from sfumato_api_a1111.scripts import SoftInpaintingArguments
from sfumato_api_a1111.state import Api
from sfumato_api_a1111.translating import Means, translated

RESIZE_MODES = ("stretch", "crop", "fill", "latent")
FILLS = ("fill", "original", "latent_noise", "latent_nothing")
OPAQUE_FROM = 128
"""Alpha above it counts as masked."""


def translated_img2img(
    fields: Img2ImgFields, means: Means, api: Api, soft: SoftInpaintingArguments | None = None
) -> list[GenerationRequest]:
    """The requests that the fields mean: one, or one a picture where each begins from its own.

    Raises:
        Refusal: there is no picture, or too many, or one that cannot be read.
        BadInput: a value that our request cannot have.
    """
    if fields.init_images is None:
        raise Refusal(404, "Init image not found", error="HTTPException", body="", errors="")
    filled = fields.filled()
    _check_count(fields.init_images, filled.batch_size or 1)
    images = [stored(text, api) for text in fields.init_images]
    inpaint = _inpaint(filled, means, api, soft)
    requests = [
        translated(fields, means, img2img=_img2img(filled, means, image), inpaint=inpaint) for image in images
    ]
    return requests if len(requests) == 1 else _one_a_picture(requests)


def _check_count(images: list[str], batch_size: int) -> None:
    if not images:
        raise failure("list index out of range", error="IndexError")
    if len(images) > max(batch_size, 1):
        raise failure(f"bad number of images passed: {len(images)}; expecting {batch_size} or less")


def _one_a_picture(requests: list[GenerationRequest]) -> list[GenerationRequest]:
    """Every start picture in every round, seeds counting up over all."""
    import secrets

    first = requests[0]
    varied = first.variation_strength > 0
    seed = secrets.randbelow(SEED_LIMIT - 1) if first.seed == RANDOM_SEED else first.seed
    variation = first.variation_seed
    if variation == RANDOM_SEED and varied:
        variation = secrets.randbelow(SEED_LIMIT - 1)
    every = [request for _ in range(first.count) for request in requests]
    return [
        request.model_copy(
            update={
                "batch_size": 1,
                "count": 1,
                "seed": seed if varied else (seed + index) % SEED_LIMIT,
                "variation_seed": (variation + index) % SEED_LIMIT if varied else variation,
            }
        )
        for index, request in enumerate(every)
    ]


def _img2img(fields: Img2ImgFields, means: Means, image: Path) -> dict[str, Any]:
    options = means.options
    noise = fields.initial_noise_multiplier
    background = overrides.text(options, "img2img_background_color")
    return {
        "image": image,
        "denoising_strength": fields.denoising_strength,
        "resize_mode": _choice(RESIZE_MODES, fields.resize_mode or 0, "resize_mode"),
        "all_steps": overrides.flag(options, "img2img_fix_steps"),
        "noise_multiplier": overrides.number(options, "initial_noise_multiplier", 1.0)
        if noise is None
        else noise,
        "color_correction": overrides.flag(options, "img2img_color_correction"),
        "background": background or "#ffffff",
    }


def _inpaint(
    fields: Img2ImgFields, means: Means, api: Api, soft: SoftInpaintingArguments | None
) -> dict[str, Any] | None:
    text = fields.mask or fields.latent_mask
    if not text:
        return None
    across, down = fields.mask_blur_x or 0, fields.mask_blur_y or 0
    if fields.mask_blur is not None:
        across = down = fields.mask_blur
    content = content_of(text, api)
    mask, is_black = _mask(content, api, across, down, bool(fields.inpainting_mask_invert))
    if is_black and fields.inpaint_full_res:
        return None
    return {
        "mask": mask,
        "invert": bool(fields.inpainting_mask_invert),
        "blur": across if across == down else 0,
        "content": _choice(FILLS, fields.inpainting_fill or 0, "inpainting_fill"),
        "area": "only_masked" if fields.inpaint_full_res else "whole_picture",
        "padding": fields.inpaint_full_res_padding or 0,
        "conditioning_mask_weight": overrides.number(means.options, "inpainting_mask_weight", 1.0),
        "soft": soft.request_values() if soft else None,
    }


def _mask(content: bytes, api: Api, across: int, down: int, inverted: bool) -> tuple[Path, bool]:
    """The mask's file, and whether nothing of it is to be painted.

    A mask given as transparency becomes black and white here, as does one whose blurs differ, which our
    request has no two fields for.
    """
    from PIL import Image, ImageFilter

    from sfumato.errors import BadInput
    from sfumato_pictures.reading import read_picture

    path = store(content, api)
    try:
        picture = read_picture(content)
    except BadInput as error:
        raise failure(f"Invalid encoded image. {error}") from error
    grey = picture.colours.convert("L")
    changed = picture.opacity is not None or across != down
    if picture.opacity is not None:
        grey = picture.opacity.point(lambda alpha: 255 if alpha > OPAQUE_FROM else 0)
    low, high = grey.getextrema()
    is_black = low == 255 if inverted else high == 0
    if across != down:
        grey = grey.filter(ImageFilter.GaussianBlur((across, down)))
    if changed:
        file = io.BytesIO()
        Image.merge("RGB", (grey, grey, grey)).save(file, "PNG")
        path = store(file.getvalue(), api)
    return path, is_black


def _choice(names: tuple[str, ...], number: int, field: str) -> str:
    if not 0 <= number < len(names):
        raise Refusal(422, f"{field} is {number}: it goes from 0 to {len(names) - 1}.")
    return names[number]
