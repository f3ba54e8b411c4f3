"""The task 'replay': the same picture again, or a variation, and how it compares."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.errors import Cancelled, SfumatoError
from sfumato.replay import CannotReplay, Difference, NoStory, ReplayReport, ReplayRequest
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato_engine.generate import generate
from sfumato_engine.provenance import AUTOENCODER, SHORT_HASH
from sfumato_engine.replay.comfyui_import import read_graph
from sfumato_engine.replay.comparison import compare_pixels, compare_stories, compare_values, shown
from sfumato_engine.replay.contributors import check_contributors
from sfumato_engine.replay.environment import installed_versions
from sfumato_engine.replay.infotext_import import import_request, other_wanted_models, wanted_model
from sfumato_engine.replay.inputs import with_inputs
from sfumato_engine.replay.model_search import WantedModel, find_model, has_hash
from sfumato_engine.replay.request_changes import (
    SEPARATOR,
    changed_request,
    fitting_request,
    given_pictures,
    told,
)
from sfumato_engine.replay.story import Story, models_of, parse_story, request_of
from sfumato_pictures import infotext
from sfumato_pictures.infotext import Infotext
from sfumato_pictures.metadata import is_json_object
from sfumato_pictures.reading import LOSSY, Picture, read_picture

LONGEST_SENTENCE = 1000
"""Characters of an error that may quote a stranger's text."""


@dataclass(frozen=True)
class Remembered:
    """A picture's request, ready to be drawn.

    Attributes:
        request: As it was, with the model's name of today.
        story: What our own chunk tells; None where only an infotext was there.
        not_carried_over: What could not be followed.
    """

    request: GenerationRequest
    story: Story | None
    not_carried_over: Sequence[str]


def replay(request: ReplayRequest, context: TaskContext) -> ReplayReport:
    """Draw a picture again into the output folder and compare.

    Raises:
        BadInput: the file is no picture, or a change cannot be.
        NoStory: the picture does not tell how it was made.
        CannotReplay: it cannot be drawn again, unchanged; the error tells what differs by now.
        Cancelled: stopped by the user.
    """
    picture = read_picture(request.path)
    try:
        remembered = remember(picture, request, context)
        varied = changed_request(remembered.request, request.changes)
        fitting, dropped = fitting_request(varied, request.changes, context)
        record, *further = generate(fitting, context).images
    except (Cancelled, NoStory):
        raise
    except SfumatoError as error:
        if request.changes:  # which may be the cause, and the picture as it was is not what is asked for
            raise
        raise _cannot(picture, error) from error
    left = (*remembered.not_carried_over, *dropped)
    new = read_picture(record.path)
    changes = told(remembered.request, varied, record.request, request.changes)
    compared = None if changes else compare_pixels(picture.image, new.image)
    largest, share = compared or (None, None)
    return ReplayReport(
        path=request.path,
        record=record,
        further=tuple(further),
        source="story" if remembered.story else "infotext",
        largest_difference=largest,
        differing_share=share,
        changes=changes,
        differences=tuple(_differences(picture, new, remembered.story, context)),
        not_carried_over=tuple(shown(entry) for entry in left),
    )


def remember(picture: Picture, request: ReplayRequest, context: TaskContext) -> Remembered:
    """The request in a picture's texts: our own story where there is one, else the infotext.

    Raises:
        NoStory: it has neither.
        BadInput: it asks for what is not here.
    """
    if picture.metadata.story:
        return _from_story(parse_story(picture.metadata.story), request, context)
    text = infotext_of(picture)
    if text is not None:
        return _from_infotext(text, request, context)
    raise NoStory(
        f"'{picture.name}' does not tell how it was made.",
        why="It has neither Sfumato's story nor an A1111 infotext nor a graph of ComfyUI.",
        hint="Programs that edit or send pictures often drop both: use the original file.",
    )


def infotext_of(picture: Picture) -> Infotext | None:
    """The A1111 text of a picture, or ComfyUI's graph told as one; None where it has neither.

    Raises:
        BadInput: the graph cannot be followed.
    """
    metadata = picture.metadata
    if metadata.parameters and not is_json_object(metadata.parameters):
        return infotext.read(metadata.parameters)
    return read_graph(metadata.graph) if metadata.graph else None


def _from_story(story: Story, request: ReplayRequest, context: TaskContext) -> Remembered:
    stored, unknown = request_of(story)
    check_contributors(story, stored, request.changes, context)
    models = {
        field: find_model(WantedModel((name, model.name, model.file), model.sha256, model.size), context)
        for field, name, model in models_of(story, stored)
        if not {field, field.partition(SEPARATOR)[0]} & request.changes.keys()
    }
    stored = with_inputs(stored, story, request.path.parent, request.changes, context)
    return Remembered(changed_request(stored, models), story, unknown)


def _from_infotext(text: Infotext, request: ReplayRequest, context: TaskContext) -> Remembered:
    chosen = "model" in request.changes
    found = request.changes["model"] if chosen else find_model(wanted_model(text), context)
    model = str(found) if found else None
    imported, left = import_request(
        text,
        context.library.find(model),
        context.registries,
        pictures=given_pictures(request.changes),
        library=context.library,
    )
    others = {
        field: find_model(wanted, context)
        for field, wanted in other_wanted_models(text).items()
        if field not in request.changes
    }
    if not chosen and model is None:
        left.append("the model, which the text does not tell")
    return Remembered(changed_request(imported, {"model": model, **others}), None, left)


def _differences(
    picture: Picture, new: Picture, story: Story | None, context: TaskContext
) -> list[Difference]:
    """What was not as it is, besides what was changed on purpose."""
    now = parse_story(new.metadata.story)
    found = compare_stories(story, now) if story else _compare_infotexts(picture, now, context)
    if picture.size != new.size:
        sizes = ["x".join(map(str, each.size)) for each in (picture, new)]
        found.append(Difference(what="size", then=sizes[0], now=sizes[1]))
    if picture.format in LOSSY:
        found.append(Difference(what="file", then=f"{picture.format}, which may lose detail", now=new.format))
    return found


def _compare_infotexts(picture: Picture, now: Story, context: TaskContext) -> list[Difference]:
    text = infotext_of(picture) or Infotext()
    version = text.fields.get("Version", "")
    current = f"sfumato {now.environment.get('sfumato', '')}"
    found = [] if version == current else [Difference(what="program", then=shown(version), now=current)]
    model, drawn_with = wanted_model(text), context.library.find(now.request["model"]).path
    if model.sha256 and now.model.sha256 and not has_hash(drawn_with, model, context):
        found.append(Difference(what="model hash", then=model.sha256, now=now.model.sha256[:SHORT_HASH]))
    vae, vae_now = text.fields.get("VAE hash", ""), [file.sha256 for file in now.parts.get(AUTOENCODER, ())]
    if vae and not any(sha256.startswith(vae.lower()) for sha256 in vae_now):
        here = ", ".join(sha256[:SHORT_HASH] for sha256 in vae_now)
        found.append(Difference(what="VAE hash", then=shown(vae), now=here))
    return found


def _cannot(picture: Picture, error: SfumatoError) -> CannotReplay:
    """The error, told of the picture, with what is known to differ; no tensor library is needed for that."""
    differences: list[Difference] = []
    try:
        then = parse_story(picture.metadata.story).surroundings if picture.metadata.story else {}
    except SfumatoError:
        then = {}
    if then:
        differences = compare_values("", then, {"python": platform.python_version(), **installed_versions()})
    what, why, hint = (shown(text, LONGEST_SENTENCE) for text in (error.what, error.why, error.hint))
    cannot = CannotReplay(
        f"'{picture.name}' cannot be drawn again. {what}",
        why=why,
        hint=hint,
        differences=differences,
    )
    cannot.exit_code = error.exit_code
    return cannot
