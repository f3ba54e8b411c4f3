"""How an address of the API is declared: what it takes and gives, as pydantic models.

The declaration checks what comes in, writes what goes out, and is the source of the OpenAPI document. Nothing
is kept beside Flask's own table of routes: a view carries its declaration.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.exceptions import HTTPException

from sfumato.errors import SfumatoError, UnknownName
from sfumato_ui_web.problems import problem, status_of

DECLARATION = "sfumato_endpoint"
JSON = "application/json"
LONGEST_BODY = 16 * 1024 * 1024
"""Of JSON, in bytes: parsed it takes many times as much."""
DEEPEST_BODY = 100

AnyModel = TypeVar("AnyModel", bound=BaseModel)
View = TypeVar("View", bound=Callable[..., Any])


class Message(BaseModel):
    """Base of what comes in: a misspelt field is an error. Its validator is built when first used."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Answer(BaseModel):
    """Base of what goes out."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class Empty(Message):
    """No parameters."""


class NoBody(Answer):
    """Nothing: the status says all."""


class Refusal(SfumatoError):
    """An error with an HTTP status of its own.

    Args:
        pointer: Which field is to blame, as a JSON pointer; `wrong` several of them, each with the reason.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        pointer: str = "",
        wrong: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.status = status
        self.wrong = tuple(wrong) or (((pointer, why or what),) if pointer else ())


@dataclass(frozen=True)
class Endpoint:
    """One method at one address.

    Attributes:
        body: What the JSON body must be; None where there is none.
        answer: What comes back; a dict that a view gives is written as it is.
        status: Of the answer; `also` are other statuses with the same answer.
        errors: Statuses of problems that the view itself may answer.
        media: What else it may answer than JSON, by media type: a JSON schema each.
        takes: What else it may be sent than JSON, by media type: a JSON schema each.
        conflict: The status of `BadInput` that has no other: 409 where the state of things is in the way.
        examples: Bodies by a line that tells what they do.
    """

    method: str
    path: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] = Empty
    answer: type[BaseModel] | None = None
    status: int = 200
    also: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    media: Mapping[str, Any] = field(default_factory=dict)
    takes: Mapping[str, Any] = field(default_factory=dict)
    conflict: int = 0
    headers: tuple[str, ...] = ()
    examples: Mapping[str, Any] = field(default_factory=dict)


def endpoint(method: str, path: str, **declared: Any) -> Callable[[View], View]:
    """Declare a view; it is called with the path's variables, ``body`` and ``query`` as far as declared.

    A view answers with a model, a dict that is JSON already, a pair of one of these and a status, a Flask
    response, or None for 204. Errors for people become problem documents: one about a name in the path 404.

    Args:
        declared: The other fields of `Endpoint`.
    """

    def mark(view: View) -> View:
        described = {"description": _text(view.__doc__), **declared}
        setattr(view, DECLARATION, Endpoint(method, path, **described))
        return view

    return mark


def mount(blueprint: Blueprint, *resources: object) -> None:
    """Serve the declared views of these objects (methods), or these views themselves."""
    for resource in resources:
        for name, view in _views(resource):
            declared: Endpoint = getattr(view, DECLARATION)
            blueprint.add_url_rule(
                declared.path,
                name,
                _answering(view, declared),
                methods=[declared.method],
                strict_slashes=False,
            )


def _views(resource: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    if hasattr(resource, DECLARATION) and callable(resource):
        yield getattr(resource, "__name__", "view"), resource
        return
    home = type(resource).__name__.lower()
    for name in dir(type(resource)):
        view = getattr(resource, name) if hasattr(getattr(type(resource), name), DECLARATION) else None
        if view is not None:
            yield f"{home}_{name}", view


def _answering(view: Callable[..., Any], declared: Endpoint) -> Callable[..., Response]:
    """The view as Flask calls it."""

    @functools.wraps(view)
    def answer(**variables: Any) -> Response:
        try:
            return _response(view(**variables, **_given(declared)), declared.status)
        except ValidationError as error:
            return _invalid(error)
        except SfumatoError as error:
            return _refused(error, declared, variables)
        except HTTPException as error:
            return (
                error.response
                if error.response is not None
                else problem(  # type: ignore[return-value]
                    error.code or 500, detail=error.description or ""
                )
            )

    setattr(answer, DECLARATION, declared)
    return answer


def _given(declared: Endpoint) -> dict[str, Any]:
    """The checked query and body, where they are declared."""
    given: dict[str, Any] = {}
    query = _query(declared.query)
    if declared.query is not Empty:
        given["query"] = query
    if declared.body is not None and not (declared.takes and request.mimetype in declared.takes):
        given["body"] = read_body(declared.body)
    return given


def _query(model: type[AnyModel]) -> AnyModel:
    values: dict[str, Any] = {}
    for name, texts in request.args.lists():
        known = next((field for key, field in model.model_fields.items() if name in (key, field.alias)), None)
        if known is not None and is_list(known.annotation):
            values[name] = [part for text in texts for part in text.split(",")]
        elif len(texts) > 1:
            raise Refusal(422, f"The parameter '{name}' is given {len(texts)} times.", pointer=f"/{name}")
        else:
            values[name] = texts[0]
    return model.model_validate(values)


def read_body(model: type[AnyModel]) -> AnyModel:
    """The checked JSON body of the request at hand.

    Raises:
        Refusal: 415 where it is not JSON by its type, 400 where it is none, 413 where it is too long.
        ValidationError: it is not what the model wants.
    """
    return model.model_validate(read_json())


def read_json() -> Any:
    """The JSON of the request at hand; nothing at all is an empty object. Raises as `read_body`."""
    if (request.content_length or 0) > LONGEST_BODY:
        raise Refusal(413, "The body is too long.", why=f"{LONGEST_BODY >> 20} MiB of JSON are taken.")
    data = request.get_data(cache=False)
    if not data and not request.mimetype:
        return {}
    if not request.is_json:
        raise Refusal(
            415,
            "The body is not said to be JSON.",
            why=f"Its type is '{request.mimetype or 'not told'}'.",
            hint=f"Send it with the header Content-Type: {JSON}",
        )
    try:
        found = json.loads(data, parse_constant=_finite, parse_float=_finite)
        if b"\\ud" in data.lower():
            json.dumps(found, ensure_ascii=False).encode()  # lone surrogates cannot be written anywhere
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The body is not JSON.", why=f"{error}.") from error
    if _is_deeper(found, DEEPEST_BODY):
        raise Refusal(400, "The body is nested too deeply.", why=f"{DEEPEST_BODY} levels are taken.")
    return found


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie in each other more often than that; goes by level, not by recursion."""
    inner = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        parts = (part for each in inner for part in (each.values() if isinstance(each, dict) else each))
        inner = [part for part in parts if isinstance(part, (dict, list))]
    return bool(inner)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number that JSON can carry")
    return number


def _response(answer: Any, status: int) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, tuple):
        answer, status = answer
    if isinstance(answer, Response):
        answer.status_code = status
        return answer
    if answer is None:
        return Response(status=204)
    text = answer.model_dump_json() if isinstance(answer, BaseModel) else json.dumps(answer, allow_nan=False)
    return Response(text, status, mimetype=JSON)


def _invalid(error: ValidationError) -> Response:
    """422, with each field that is wrong."""
    wrong = [
        {"pointer": pointer(found["loc"]), "detail": found["msg"].removeprefix("Value error, ")}
        for found in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    first = wrong[0]
    return problem(
        422,
        "The request cannot be understood.",
        f"{first['pointer'] or '/'}: {first['detail']}.",
        errors=wrong,
    )


def pointer(place: tuple[int | str, ...]) -> str:
    """A place in a document as RFC 6901 writes it."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)


def _refused(error: SfumatoError, declared: Endpoint, variables: Mapping[str, Any]) -> Response:
    status = status_of(error)
    wrong: list[dict[str, str]] = []
    if isinstance(error, Refusal):
        status = error.status
        wrong = [{"pointer": place, "detail": reason} for place, reason in error.wrong]
    elif isinstance(error, UnknownName):
        status = 404 if error.name in variables.values() else 422
    elif status == 422 and isinstance(error.__cause__, ValidationError):
        wrong = [
            {"pointer": pointer(found["loc"]), "detail": found["msg"].removeprefix("Value error, ")}
            for found in error.__cause__.errors(include_url=False, include_input=False)
        ]
    elif status == 422 and declared.conflict:
        status = declared.conflict
    return problem(status, error.what, error.why, error.hint, errors=wrong)


def _text(docstring: str | None) -> str:
    """A docstring as running text."""
    return " ".join((docstring or "").split())


def is_list(annotation: Any) -> bool:
    """Whether a query parameter may be given several times."""
    return get_origin(annotation) in (tuple, list) and bool(get_args(annotation))
