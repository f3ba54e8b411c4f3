"""The task 'upscale': pictures enlarged and mended, without a diffusion model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from sfumato.errors import BadInput
from sfumato.request import UpscaleRequest
from sfumato.tasks import TaskContext
from sfumato.upscaling import UpscaleResult
from sfumato_pictures.reading import SUFFIXES


def upscale(request: UpscaleRequest, context: TaskContext) -> UpscaleResult:
    """Enlarge pictures one after another; each is saved as soon as it is complete.

    One that cannot be read or enlarged is told and skipped, and the others go on.

    Raises:
        BadInput: an unknown upscaler or face restorer, or no pictures.
        CheckpointError: the upscaler's file is none.
        Cancelled: stopped by the user; finished pictures are kept.
        SfumatoError: no picture could be done, or they cannot be saved.
    """
    started = time.monotonic()
    paths = list(pictures(request.images))
    # Only now: a misspelt name is answered before the tensor library is imported.
    from sfumato_upscalers.enlarging import Enlarging

    work = Enlarging(request, context)
    images, skipped = work.run(paths)
    return UpscaleResult(images=tuple(images), skipped=tuple(skipped), seconds=time.monotonic() - started)


def pictures(given: tuple[Path, ...]) -> Iterator[Path]:
    """The files given, and those in the folders given by their names; not what lies deeper.

    Raises:
        BadInput: a folder holds no pictures.
    """
    for path in map(Path.expanduser, given):
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise BadInput(
                f"The folder '{path}' holds no pictures.", why=f"They end in {', '.join(SUFFIXES)}."
            )
        yield from found
