"""A picture brought to another size: stretched, cropped, or filled up with its edges."""

from __future__ import annotations

from PIL import Image

from sfumato.request.img2img import ResizeMode

SMOOTH = Image.Resampling.LANCZOS


def resized(picture: Image.Image, width: int, height: int, mode: ResizeMode) -> Image.Image:
    """The picture at exactly this size.

    Args:
        mode: "crop" keeps the proportions and cuts off what sticks out on both sides; "fill" keeps all of the
            picture and repeats its edge rows beside it; all others stretch.
    """
    if picture.size == (width, height):
        return picture
    if mode == "crop":
        return _cropped(picture, width, height)
    if mode == "fill":
        return _filled(picture, width, height)
    return picture.resize((width, height), SMOOTH)


def _cropped(picture: Image.Image, width: int, height: int) -> Image.Image:
    wide = width * picture.height > height * picture.width
    fitted = _scaled(picture, width, height, by_width=wide)
    left, top = fitted.width // 2 - width // 2, fitted.height // 2 - height // 2
    return fitted.crop((left, top, left + width, top + height))


def _filled(picture: Image.Image, width: int, height: int) -> Image.Image:
    wide = width * picture.height > height * picture.width
    fitted = _scaled(picture, width, height, by_width=not wide)
    left, top = width // 2 - fitted.width // 2, height // 2 - fitted.height // 2
    right, bottom = width - fitted.width - left, height - fitted.height - top
    return with_edges(fitted, left, top, right, bottom)


def _scaled(picture: Image.Image, width: int, height: int, *, by_width: bool) -> Image.Image:
    """At that width or at that height; the other side follows."""
    if by_width:
        height = max(1, picture.height * width // picture.width)
    else:
        width = max(1, picture.width * height // picture.height)
    return picture.resize((width, height), SMOOTH)


def with_edges(picture: Image.Image, left: int, top: int, right: int, bottom: int) -> Image.Image:
    """The picture on a larger canvas, its outermost rows and columns repeated out to the edges."""
    w, h = picture.size
    canvas = Image.new(picture.mode, (left + w + right, top + h + bottom))
    canvas.paste(picture, (left, top))
    if left:
        canvas.paste(picture.crop((0, 0, 1, h)).resize((left, h)), (0, top))
    if right:
        canvas.paste(picture.crop((w - 1, 0, w, h)).resize((right, h)), (left + w, top))
    if top:
        canvas.paste(canvas.crop((0, top, canvas.width, top + 1)).resize((canvas.width, top)), (0, 0))
    if bottom:
        row = canvas.crop((0, top + h - 1, canvas.width, top + h)).resize((canvas.width, bottom))
        canvas.paste(row, (0, top + h))
    return canvas
