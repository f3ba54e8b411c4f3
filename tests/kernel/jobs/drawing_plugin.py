"""Work that takes a moment and saves files as the engine saves pictures; and work that goes wrong."""

import os
import secrets
import time
from pathlib import Path

from pydantic import BaseModel

from sfumato.errors import BadInput
from sfumato.events import ImageSaved, ImageSaving, PhaseStarted, StepCompleted, Warned
from sfumato.hookspecs import hookimpl
from sfumato.records import ImageRecord
from sfumato.request import GenerationRequest

SFUMATO_API = "1.0"


class Drawing(BaseModel):
    name: str = "one"
    pictures: int = 1
    steps: int = 2
    seconds: float = 0.0
    how: str = ""


@hookimpl
def register_tasks(tasks):
    here = "drawing_dist:"
    tasks.add("draw", here + "draw", label="Draw", request=here + "Drawing")
    tasks.add("sort", here + "draw", label="Sort", request=here + "Drawing", lane="background")
    tasks.add("secret", here + "draw", label="Secret")
    tasks.add(
        "generate", here + "draw_request", label="Generate", request="sfumato.request:GenerationRequest"
    )
    tasks.add("grid", here + "draw_request", label="Grid", request="sfumato.request:GridRequest")


def draw_request(request, context):
    return request.model_dump(mode="json")


def draw(request, context):
    context.output_folder.mkdir(parents=True, exist_ok=True)
    context.events.emit(PhaseStarted(phase="sampling"))
    go_wrong(request, context)
    finished = {image.seed for image in context.finished}
    for number in range(request.pictures):
        if number not in finished and not draw_one(request, context, number):
            break
    return {"pid": os.getpid(), "settings": context.settings.jobs.attempts}


def draw_one(request, context, number):
    for step in range(request.steps):
        time.sleep(request.seconds)
        context.cancel.check()
        preview = (b"%d.%d" % (number, step),) if request.how == "previews" else ()
        context.events.emit(
            StepCompleted(
                step=step + 1, steps=request.steps, batch=number, batches=request.pictures, preview=preview
            )
        )
        if context.cancel.ending:
            break
    path = context.output_folder / f"{request.name}-{number}-{secrets.token_hex(4)}.png"
    record = ImageRecord(
        path=path, seed=number, width=1, height=1, infotext="", request=GenerationRequest(prompt=request.name)
    )
    context.events.emit(ImageSaving(image=record))
    temporary = path.with_suffix(".partial")
    temporary.write_bytes(b"a picture")
    temporary.replace(path)
    context.events.emit(ImageSaved(image=record))
    ending, context.cancel.ending = context.cancel.ending, ""
    return ending != "interrupt"


def go_wrong(request, context):
    how, _, detail = request.how.partition(" ")
    if how == "exit":
        os._exit(int(detail))
    elif how == "segfault":
        import ctypes

        ctypes.string_at(0)
    elif how == "stop":
        import signal

        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "fail":
        raise ValueError("the paint is dry")
    elif how == "refuse":
        raise BadInput("There is no such colour.", why="It was 'ultragreen'.", hint="Try green.")
    elif how == "warn":
        context.events.emit(Warned(message="The paint is nearly dry."))
    elif how == "wait":
        until = Path(detail)
        while not until.exists():
            context.cancel.check()
            time.sleep(0.01)
    elif how == "deaf":
        while not Path(detail).exists():
            time.sleep(0.01)
