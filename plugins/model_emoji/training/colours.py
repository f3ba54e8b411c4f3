"""Colour words: which colour rules a picture, and the same picture in another colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

HUES = {
    "red": 0.0,
    "orange": 28.0,
    "yellow": 50.0,
    "green": 125.0,
    "blue": 215.0,
    "purple": 275.0,
    "pink": 325.0,
}
"""Degrees of hue that the recoloured pictures take."""
NAMED_HUES = {
    "red": -3.0,
    "orange": 18.0,
    "yellow": 50.0,
    "green": 110.0,
    "blue": 210.0,
    "purple": 270.0,
    "pink": 320.0,
}
"""Centres for naming the colour of a drawing: emoji faces are yellow to people, at 37 degrees."""
GREYS = ("black", "white", "gray")
COLOURS = (*HUES, *GREYS)
BACKGROUNDS = {
    "red": (0.86, 0.2, 0.2),
    "orange": (1.0, 0.6, 0.2),
    "yellow": (1.0, 0.87, 0.35),
    "green": (0.35, 0.72, 0.4),
    "blue": (0.35, 0.6, 0.95),
    "purple": (0.6, 0.4, 0.85),
    "pink": (1.0, 0.7, 0.82),
    "black": (0.08, 0.08, 0.1),
    "gray": (0.6, 0.6, 0.63),
}
BIN = 10
TRIM, PALE_SATURATION = 0.55, 0.4
"""Where the ruling hue covers less than this share, pale parts are tinted: a pink rocket is pink all over."""
NARROW, WIDE = 40.0, 55.0
"""Degrees around the ruling hue within which a pixel changes fully, and beyond which it does not change."""


def to_hsv(rgb: Array) -> tuple[Array, Array, Array]:
    """Hue in degrees, saturation and value of colours ``[..., 3]`` in 0..1."""
    high, low = rgb.max(-1), rgb.min(-1)
    spread = high - low + 1e-8
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    sector = np.where(
        high == r, ((g - b) / spread) % 6, np.where(high == g, (b - r) / spread + 2, (r - g) / spread + 4)
    )
    return sector * 60, np.where(high > 0, (high - low) / (high + 1e-8), 0), high


def to_rgb(hue: Array, saturation: Array, value: Array) -> Array:
    """The inverse of :func:`to_hsv`, stacked as ``[..., 3]``."""

    def channel(n: int) -> Array:
        k = (n + hue / 60) % 6
        return value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)

    return np.stack([channel(5), channel(3), channel(1)], -1)


def hue_distance(hue: Any, centre: float) -> Any:
    """Signed degrees from ``centre`` of a hue or an array of them, -180..180."""
    return (hue - centre + 180) % 360 - 180


def straight(rgba: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Colours and alpha in 0..1 of premultiplied bytes ``[h, w, 4]``."""
    alpha = rgba[..., 3].astype(np.float32) / 255
    return np.clip(rgba[..., :3].astype(np.float32) / 255 / np.maximum(alpha, 1e-3)[..., None], 0, 1), alpha


def ruling_hue(rgba: NDArray[np.uint8]) -> float | None:
    """The one hue that rules a picture, in degrees, or None where there is none (a rainbow, a snowman)."""
    colour, alpha = straight(rgba)
    hue, saturation, value = to_hsv(colour)
    vivid = alpha * (saturation > 0.3) * (value > 0.2)
    if vivid.sum() < max(1.0, 0.35 * alpha.sum()):
        return None
    weights = vivid * saturation
    histogram, _ = np.histogram(hue, bins=360 // BIN, range=(0, 360), weights=weights)
    smooth = np.roll(histogram, -1) + histogram + np.roll(histogram, 1)
    peak = (int(smooth.argmax()) + 0.5) * BIN
    near = weights * (np.abs(hue_distance(hue, peak)) < 2.5 * BIN)
    if near.sum() < 0.6 * weights.sum():
        return None
    return float(peak + (near * hue_distance(hue, peak)).sum() / near.sum()) % 360


def colour_name(rgba: NDArray[np.uint8], hue: float) -> str:
    """The word for a picture ruled by ``hue``; dark oranges are brown, pale reds pink."""
    colour, alpha = straight(rgba)
    hues, saturation, value = to_hsv(colour)
    ruled = alpha * (saturation > 0.3) * (np.abs(hue_distance(hues, hue)) < 30)
    name = min(NAMED_HUES, key=lambda word: abs(hue_distance(NAMED_HUES[word], hue)))
    dark = (value * ruled).sum() < 0.72 * ruled.sum()
    if name == "red" and (saturation * ruled).sum() < 0.6 * ruled.sum():
        return "pink"
    return "brown" if dark and name in ("red", "orange", "yellow") else name


def grey_tone(colour: Array, word: str) -> Array:
    """Black, white or gray versions of colours ``[..., 3]``; shading is kept."""
    light = (colour @ np.array([0.299, 0.587, 0.114], np.float32))[..., None].repeat(3, -1)
    return {"black": 0.3 * light, "white": 0.72 + 0.26 * light, "gray": 0.3 + 0.45 * light}[word]


def recolour(rgba: NDArray[np.uint8], word: str, hue: float | None) -> NDArray[np.uint8]:
    """The picture in another colour: its ruling hue replaced, or, where none rules, everything tinted."""
    colour, alpha = straight(rgba)
    hues, saturation, value = to_hsv(colour)
    if hue is None:
        away = np.zeros_like(hues)
        share = np.ones_like(hues)
        saturation = np.where(value > 0.35, np.maximum(saturation * 0.8, 0.6), saturation)
    else:
        away = hue_distance(hues, hue)
        share = np.clip((WIDE - np.abs(away)) / (WIDE - NARROW), 0, 1) * np.clip(saturation / 0.2, 0, 1)
        if word in HUES and (share * alpha).sum() < TRIM * alpha.sum():
            pale = (saturation < 0.25) & (value > 0.5)
            share, saturation = np.maximum(share, pale), np.where(pale, PALE_SATURATION, saturation)
            away = np.where(pale, 0, away)
    if word in HUES:
        if word in ("yellow", "orange", "pink"):
            value = np.sqrt(value)
        if word == "pink":
            saturation = saturation * 0.65
        painted = to_rgb((HUES[word] + 0.4 * away) % 360, saturation, value)
    else:
        painted = grey_tone(colour, word)
    mixed = colour * (1 - share[..., None]) + painted * share[..., None]
    premultiplied = np.clip(mixed, 0, 1) * alpha[..., None] * 255
    return np.concatenate([premultiplied.round().astype(np.uint8), rgba[..., 3:]], -1)
