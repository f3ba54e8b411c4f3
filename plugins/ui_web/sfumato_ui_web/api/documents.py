"""/openapi.json for programs and /docs for people, both from the same declarations."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from flask import Response, current_app, render_template, request

from sfumato_ui_web.api.endpoints import endpoint

TAGS = ("About",)
PAGE = {"text/html": {"type": "string"}}


class Documents:
    """Written when they are first asked for: what plugins serve stays as it is while the server runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._document: dict[str, Any] = {}
        self._text = b""
        self._tag = ""

    @endpoint(
        "GET",
        "/openapi.json",
        also=(304,),
        media={"application/json": {"type": "object"}},
        summary="This API as an OpenAPI document",
        tags=TAGS,
    )
    def openapi(self) -> Response:
        self._written()
        answer = Response(self._text, mimetype="application/json")
        answer.set_etag(self._tag)
        answer.headers["Cache-Control"] = "private, no-cache"
        return answer.make_conditional(request)  # type: ignore[return-value]

    @endpoint(
        "GET", "/docs", media={"text/html": {"type": "string"}}, summary="This API for people", tags=TAGS
    )
    def docs(self) -> Response:
        from sfumato_ui_web.api.docs_page import fields, sections

        document = self._written()
        page = render_template(
            "api_docs/page.html",
            document=document,
            sections=sections(document),
            fields=fields,
            schemas=sorted(document["components"]["schemas"].items()),
            host=request.host_url.rstrip("/"),
        )
        return Response(page, mimetype="text/html")

    def _written(self) -> dict[str, Any]:
        with self._lock:
            if not self._document:
                from sfumato_ui_web.api.openapi import openapi

                document = openapi(current_app)
                self._text = json.dumps(document, ensure_ascii=False).encode()
                self._tag = hashlib.sha256(self._text).hexdigest()[:32]
                self._document = document
        return self._document
