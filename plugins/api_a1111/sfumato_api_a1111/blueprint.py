"""Routes as FastAPI answers them: in JSON throughout, with the time that each took."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import g, request

from sfumato_api_a1111.errors import Refusal, json_response

if TYPE_CHECKING:
    from flask import Blueprint, Response

_PROBLEM = "application/problem+json"
_EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Routes:
    """Adds routes to a blueprint, and answers for all other paths below its address."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._methods: dict[str, list[str]] = defaultdict(list)
        blueprint.before_request(_begin)
        blueprint.after_request(_finish)

    def add(self, path: str, view: Callable[[], Response], method: str) -> None:
        """One route; a path with a slash behind it is the same."""
        name = f"{method.lower()}_{path.strip('/').replace('/', '_').replace('-', '_')}"
        self._blueprint.add_url_rule(path, name, view, methods=[method], strict_slashes=False)
        self._methods[path.strip("/")].append(method)

    def close(self) -> None:
        """Answer for what there is not: 405 for another method, which clients look for, else 404."""
        methods = dict(self._methods)

        def missing(path: str = "") -> Response:
            allowed = methods.get(path.strip("/"))
            if allowed is None:
                raise Refusal(404, "Not Found")
            answer = json_response({"detail": "Method Not Allowed"}, 405)
            answer.headers["Allow"] = ", ".join(allowed)
            return answer

        self._blueprint.add_url_rule("/<path:path>", "missing", missing, methods=_EVERY_METHOD)


def _begin() -> None:
    g.a1111_began = time.perf_counter()


def _finish(response: Any) -> Any:
    """A refusal of the web application itself in A1111's shape."""
    if "a1111_began" in g:
        response.headers["X-Process-Time"] = f"{time.perf_counter() - g.a1111_began:.4f}"
    if response.mimetype == _PROBLEM:
        response.set_data(json.dumps({"detail": _detail(response)}))
        response.mimetype = "application/json"
    return response


def _detail(response: Any) -> str:
    if response.status_code == 401:
        given = request.headers.get("Authorization", "")
        is_basic = given[:6].lower() == "basic " and given[6:].strip()
        return "Incorrect username or password" if is_basic else "Not authenticated"
    try:
        told = json.loads(response.get_data())
    except ValueError:
        return str(response.status)
    return " ".join(str(told[key]) for key in ("title", "detail", "hint") if told.get(key))
