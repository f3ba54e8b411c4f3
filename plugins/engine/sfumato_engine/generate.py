"""The task 'generate': from a request to pictures on disk."""

from __future__ import annotations

import time

from sfumato.records import GenerationResult
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato_engine.resolution import resolve


def generate(request: GenerationRequest, context: TaskContext) -> GenerationResult:
    """Draw what the request asks for; each picture is saved as soon as it is complete.

    Raises:
        BadInput: an unknown name, a size or option that cannot be.
        MissingPart: the model lacks a part.
        OutOfMemory: it does not fit the device.
        Cancelled: stopped by the user; finished pictures are kept.
        SfumatoError: the pictures cannot be saved.
    """
    started = time.monotonic()
    if len(context.finished) >= request.image_total:  # an earlier attempt was cut short at its very end
        return GenerationResult(images=context.finished, seconds=0.0)
    resolved = resolve(request, context)
    # Only now: a misspelt name is answered before the tensor library is imported, which takes over a second.
    from sfumato_engine.drawing import draw

    return draw(resolved, context, started)
