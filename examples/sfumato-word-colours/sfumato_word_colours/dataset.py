"""Pictures with captions, as they lie in a folder."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from sfumato.errors import BadInput

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Dataset:
    """What is learnt from.

    Attributes:
        words: How often each word stands in each caption, as shares: [pictures, words].
        colours: The mean colour of each picture, in -1..1: [pictures, 3].
    """

    words: Tensor
    colours: Tensor


def read_dataset(folder: Path, words: int) -> Dataset:
    """Read all pictures of a folder, with the captions in the .txt files beside them.

    Raises:
        BadInput: there is no such folder or no picture in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder '{folder}'.", hint="Name one with pictures and captions.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not paths:
        raise BadInput(
            f"The folder '{folder}' has no pictures.", hint=f"Put some there ({', '.join(ENDINGS)})."
        )
    captions = torch.stack([_caption(path.with_suffix(".txt"), words) for path in paths])
    return Dataset(captions, torch.stack([_mean_colour(path) for path in paths]))


def _caption(path: Path, words: int) -> Tensor:
    found = path.read_text("utf-8").lower().split() if path.is_file() else []
    shares = torch.zeros(words)
    for word in found:
        shares[zlib.crc32(word.encode()) % words] += 1 / len(found)
    return shares


def _mean_colour(path: Path) -> Tensor:
    try:
        with Image.open(path) as image:
            pixels = torch.tensor(image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))
    except (OSError, UnidentifiedImageError) as error:
        raise BadInput(f"The picture '{path}' cannot be read.", why=f"{error}.") from error
    return pixels / 127.5 - 1
