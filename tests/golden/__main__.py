"""Draw the whole matrix anew and keep it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from .kept import keep
from .matrix import MATRIX, Gallery
from .models import write_models, write_pictures


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder)
        write_pictures(folder)
        gallery = Gallery(folder)
        keep({case: gallery.latents(case) for case in MATRIX})


if __name__ == "__main__":
    main()
